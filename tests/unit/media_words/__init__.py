"""The pure half of media: reading, markup, tones, spelling, comparing."""
