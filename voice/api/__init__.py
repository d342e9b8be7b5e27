"""The HTTP API. Only modules in here know FastAPI.

app.py        create_app(parts): routes, guard, errors, description      parts.py   Api: the ports; who may do what
server.py     the HTTP server around it: header limits, draining first
sendvoice.py  the 9bits door        calls.py   one programmable call     events.py  its story, also live
finding.py    which calls there were: pages, CSV
why.py        why it ended so, and its SIP messages     drawing.py   a ladder in five forms
trunks.py     the trunk book             trunk_models.py  what its bodies look like
tolls.py     where calls may go          limits.py   what a key may spend, and what a call costs
toll_models.py   what their bodies look like
selftest.py   a trunk tried step by step  selftest_models.py  its bodies
trunk_standing.py  how a trunk stands    feed.py  what happened to trunks, for who was away
media.py  sandbox.py  chaos.py  admin.py  health.py                      the side doors
reading.py   bytes -> typed request      schemas.py  what a request may contain     asking.py  -> voice.sending.Request
once.py       Idempotency-Key             replies.py  what answers look like      routes.py  which way a call would take
openapi.py    the description             reference.py  /docs, made from it
"""
