"""Who you are, what you may do, what we tell you: everything voice and SMS share.

errors.py     ServiceError: every error carries its verdict (code, status, retryable, fault, hint)
ids.py        our identifiers          clock.py     now, aware UTC          numbers.py   phone numbers in and out
accounts.py   accounts and API keys    limits.py    request rate
store.py      the Valkey/Redis connection, scripts, and "is it as durable as policy says"
embedded.py   a Valkey of our own that dies with its parent
queue.py      Queue port and ValkeyQueue          queue_memory.py  its twin
events.py     what happened, and the envelope a webhook carries (pure)
webhooks.py   sign, schedule, verdict (pure)      guard.py     which addresses may be contacted
courier.py    the process that delivers webhooks
http.py       the one error body, request ids, who is calling
"""
