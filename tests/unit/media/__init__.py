"""The speech and audio half of media/."""
