"""A telephone line and a trunk. Knows nothing of accounts, Redis or HTTP.

commands.py events.py   frozen values that cross the pipe, both with our call_id
wire.py       value <-> frame: length + JSON, known types only
trunk.py      Trunk: where calls leave          uri.py      digits + trunk -> URI and headers (pure)
trunk_file.py the operator's TOML -> Trunks     trunk_section.py  one table of it, every mistake named
outcomes.py   how a leg ended -> ending, cause, retry class (pure table)          causes.py   its words
ladder.py     SIP messages seen -> ladder and text, secrets hidden (pure)
line.py       Line port: dial, hang up, events, capacity
lines.py      the asyncio face: line processes, their pool, a lost child, a new child
child.py      a line process's main loop        engine.py   PJSIP: the only file that imports pjsua2
simulated.py  SimulatedLine, the twin of Lines  sandbox/    the catch-all phone: a real SIP callee
"""
