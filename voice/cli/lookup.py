"""`tocsin magic`: a table, and nothing to load for it."""

import json

from voice.explain import Exit


def run_magic(*, as_json: bool) -> int:
    from sip.sandbox.scripts import MAGIC

    if as_json:
        print(json.dumps([{"number": number, "title": script.title} for number, script in MAGIC.items()]))
        return Exit.OK
    for number, script in MAGIC.items():
        print(f"+{number}  {script.title}")
    print("every other number: answers and listens to the end")
    return Exit.OK
