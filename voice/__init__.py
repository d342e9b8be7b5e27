"""The product: a message becomes a phone call, and the call's true story goes back to the application.

calls.py      Call, its states, advance(call, fact) (pure)      messages.py  Message and Recipient (pure)
flows.py      what happens on an answered call (pure)           explain.py   cause -> sentence, fault, next step
explanations.py  its words (data)
explaining.py  what proves it: a Call object and its ladder -> evidence (pure)    ticket.py  as Markdown (pure)
sending.py    the verbs: send_voice, place_call, cancel, find, list
orders.py     a request judged: numbers, limits, times (pure)   call_object.py   the JSON Call object (pure)
telling.py    the event of a step and its webhooks (pure)       endings.py   how a leg ended -> Ending, Outcome (pure)
store.py      CallStore port    store_memory.py  its twin in memory
store_valkey.py store_reading.py keys.py rows.py lua/           the real one
codec.py      a value <-> its JSON                              writing.py   facts to the store, in order, repeated
dispatch.py   one call, from lease to end                       dialer.py    the process: leases, drain
desk.py       what a dispatch works with
ringing_back.py calls that come in: who missed a message hears it           inbox.py     how the store takes them
invite.py     what goes on the wire (pure)                      trunks.py    a trunk of this dialer: pace, breaker
journal.py    the local record of the point of no return        recovery.py  orphans get their final state
phone.py      the process around the catch-all phone            retention.py  recordings have a life
api/          FastAPI, and nothing else knows it                cli/         the tocsin command
compose.py    the parts of a process: the only place that chooses adapters       compose_api.py  those of the API
processes.py  api, dialer, courier, phone: what each is made of  preflight.py what is told before anything starts
serve.py      one process of each, supervised                   roles.py     how they are started
figures.py    the operator's numbers, counted at scrape
chaos.py      what trouble the catch-all phone was told to make
trunk_book.py the trunks of the service, for all its processes    trunk_shelf.py  where they lie: Valkey, and its twin
trunk_lines.py    the lines of a dialer's trunks, hot             dialer_facts.py  what a dialer says of itself
one_registration.py  which dialer registers for all             registration_lease.py  how they settle it
trunk_entry.py  one of them, and the errors about it            trunk_plan.py   what a file would change (pure)
sealing.py    secrets at rest
presence.py   who is there, as they say themselves              installation.py  the secrets it makes for itself
destinations.py  where an account may call (pure)
tariffs.py    what a call costs (pure)      caps.py  what a key may do (pure)    caps_memory.py  counted in memory
alerts.py     what the account is told beside its calls
toll_book.py  the rules of each account, for all processes    toll_guard.py  may this account ring that number?
trunks_now.py the trunks as they are, for who only looks
caller_ids.py which numbers an account may show (pure)          routing.py   which trunk, and why not the others (pure)
simulating.py which way a call would take (pure)
health.py     is a trunk there: N misses, M answers             obstacles.py  what is in the way, in words (pure)
scoreboard.py how good a trunk is (pure)    scores.py  its marks, by the hour
trunk_status.py the status of a trunk (pure)
trunk_watch.py  tells what changed of it, once for all dialers    trunk_news.py  what is told, and when (pure)
trunk_record.py what was told, and its registration's ladder
failover.py   may the next trunk be tried (pure)                seats.py limits.py  channels and pace over all dialers
trunk_budget.py what a call may cost of a trunk's day (pure)
selftest.py   the self-test of a trunk: values               selftest_run.py selftest_call.py  its steps, and its call
selftest_words.py  what a step saw, what to do (pure)        selftest_desk.py  who makes it
selftest_board.py  where it is asked and answered             selftest_news.py  who did, as an event
selftest_toll.py  what its call takes of the limits of its key (pure)
version.py    which Tocsin, which PJSIP
"""
