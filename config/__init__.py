"""Settings, logging and the example files a user edits. Knows nothing of the rest of Tocsin.

settings.py   one frozen, typed tree: TOCSIN_… environment over TOML over defaults
logs.py       JSON lines (pretty on a terminal); phone numbers masked, message texts never logged
"""
