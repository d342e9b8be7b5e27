"""The product: a message becomes a phone call, and the call's true story goes back to the application.

calls.py      Call, its states, advance(call, fact) (pure)      messages.py  Message and Recipient (pure)
flows.py      what happens on an answered call (pure)           explain.py   cause -> sentence, fault, next step
explanations.py  the words of explain.py (data)
sending.py    the verbs: send_voice, place_call, cancel, find, list
store.py      CallStore port and ValkeyCallStore                store_memory.py  its twin          lua/
dispatch.py   one call, from lease to end                       dialer.py    the process: leases, drain
journal.py    the local record of the point of no return        recovery.py  orphans get their final state
phone.py      the process around the catch-all phone
api/          FastAPI, and nothing else knows it                cli/         the tocsin command
compose.py    the composition roots: the only place that chooses adapters          serve.py  one of each, supervised
"""
