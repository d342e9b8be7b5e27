"""A telephone line and a trunk. Knows nothing of accounts, Redis or HTTP.

commands.py events.py   frozen values that cross the pipe, both with our call_id
setup.py      what a line process is told first    wire.py   value <-> frame: length + JSON, known types only
trunk.py      Trunk: where calls leave          uri.py      digits + trunk -> URI and headers (pure)
trunk_reading.py  what was said of a trunk -> Trunk, and what may not stand together     trunk_parts.py  part by part
trunk_section.py  one table of it, every mistake named
trunk_file.py     the operator's TOML -> Trunks     trunk_object.py  the API's object <-> Trunk, secrets never in it
outcomes.py   how a leg ended -> ending, cause, retry class (pure table)          causes.py   its words
ladder.py     SIP messages seen -> ladder and text, secrets hidden (pure)
ladder_svg.py ladder_mermaid.py ladder_pcap.py   the same drawn, and as a capture (pure)
line.py       Line port: dial, hang up, events, capacity
lines.py      the asyncio face: a pool of line processes    lineprocess.py  one of them, seen from outside
processleg.py one of their calls    front.py  the one that others come to: it registers, and takes calls
prefork.py    the prepared process they are forked from       ports.py        RTP ports that nobody else has
names.py      the addresses behind a trunk's names
registration.py  when a REGISTER is due (pure)    registering.py  a line process does it    registrar.py  how it stands
child.py      a line process's main loop        lastwords.py  what it writes when its parent is gone
exchange.py   the calls in it: commands in, events out      ends.py       calls that are over, and their lines
legs.py       one call: what is due, how it ended           watcher.py    who is told what PJSIP says
reception.py  calls that come in    inbound.py  which of them may ring (pure)
doorkeeper.py strangers kept out by the kernel
engine.py     PJSIP. It and its parts alone import pjsua2: pjcall.py, pjsound.py, pjendpoint.py, pjproblem.py
pjsettings.py, selfcheck.py  its settings; may it dial?
mediadoor.py  whose sound a call takes: a filter in the kernel
tls.py        whom we believe, why we do not      streams.py    did an INVITE have a connection to leave by? (pure)
messages.py   what a SIP message says (pure)    logins.py   how often a peer asks for a login (pure)
quality.py  the E-model (pure)    recording.py  two sides, one WAV
inband.py     keys heard in the sound (pure)    sit.py   announcement tones of the network (pure)
overhearing.py  a call's ear for them, until somebody answers
options.py    is somebody there: one OPTIONS request         pinging.py    by the way that the trunk's calls take
probing.py    the way there: name, connection, certificate
simulated.py  SimulatedLine, the twin of Lines  callee.py     who is at the other end of it
sandbox/      the catch-all phone: a real SIP callee
"""
