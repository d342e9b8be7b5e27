"""Who you are, what you may do, what we tell you: everything voice and SMS share.

errors.py     ServiceError: every error carries its verdict (code, status, retryable, fault, hint)
ids.py        our identifiers          clock.py     now, aware UTC          numbers.py   phone numbers in and out
              (high_risk.csv: those never called)
accounts.py   accounts and API keys    strict_json.py   a stranger's JSON, read with every complaint named (pure)
store.py      the Valkey/Redis client, scripts, and "is it as durable as policy says"
connection.py connections to it whose waits are bounded and can be cancelled
embedded.py   a Valkey of our own that dies with its parent          leash.py     how it does
queue.py      Queue port       queue_valkey.py   ValkeyQueue         queue_memory.py   its twin       lua/   the scripts
events.py     the envelope a webhook carries (pure)
webhooks.py   sign, schedule, verdict (pure)                         guard.py     which addresses may be contacted
outbox.py     deliveries are written where the state is written      deliveries.py     read, record, replay them
lanes.py      which delivery goes next (no I/O)                      courier.py   the process that delivers webhooks
http.py       the one error body, request ids, who is calling
complaints.py what pydantic complains about, in our words (pure)
"""
