"""What a call costs and how long things take: the whole service against SIPp on loopback. Run it with `make bench`.

__main__.py   the parts in their order, the result as JSON and as a table
parts.py      what is measured: accepting, dialling at a rate, forty calls at once
service.py    the service as a user starts it     processes.py  its process tree: CPU time, memory
carrier.py    SIPp answers every call             meter.py      the far end's RTP: echoes it, notes its pace
hooks.py      where the webhooks arrive           figures.py    percentiles, facts of the machine, the table
"""
