"""The catch-all phone: a real SIP callee that answers every number, hears, presses keys and can misbehave.

scripts.py    the magic numbers as data: what the phone does for each (pure)
phone.py      CatchAllPhone: one SIP port on loopback, many calls      call.py   one call, from INVITE to end
facts.py      what is known of one call     faults.py    chaos: declared shares of bad calls (pure)
person.py     who answered: presses, mailbox, hang-up                  shelf.py  where recordings lie
messages.py  sdp.py  dialog.py   SIP and SDP, bytes and values (pure)  transactions.py   repeats and timers
session.py    session timers: who refreshes a call, when it is given up (pure)
sound.py      sockets and RTCP of one call, the one timer of all       road.py   a bad path: loss and jitter
mouth.py      what it sends (pure)      ear.py   what it hears and records
rtp.py  g711.py  tones.py   packets, companding, beeps and a synthetic greeting (pure)
"""
