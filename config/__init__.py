"""Settings, logging and the example files a user edits. Knows nothing of the rest of Tocsin.

settings.py   one frozen, typed tree: TOCSIN_… environment over TOML over defaults
children.py   how our processes start one another so that none outlives its parent
logs.py       JSON lines (pretty on a terminal); phone numbers masked, message texts never logged
"""
