"""The catch-all phone: a real SIP callee that answers every number, hears, presses keys and can misbehave.

scripts.py    the magic numbers as data: what the phone does for each
phone.py      SIP: one port, at least 50 calls          sound.py    RTP: what it hears, says and presses
"""
