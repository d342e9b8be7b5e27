"""`tocsin explain` and `magic`: tables, and nothing to load for them."""

import json
import sys

from voice.explain import Exit, explain, near


def run_explain(code: str, *, as_json: bool) -> int:
    found = explain(code)
    if found is None:
        close = near(code)
        also = f" Did you mean {', '.join(close)}?" if close else ""
        print(f"tocsin: nothing is known of {code!r}.{also}", file=sys.stderr)
        return Exit.NOT_FOUND
    if as_json:
        print(json.dumps(found.as_dict()))
        return Exit.OK
    print(f"{found.code}: {found.title}\n{found.sentence}")
    print(f"Whose side: {found.fault or 'nobody'}. Trying again helps: {'yes' if found.retryable else 'no'}.")
    print(f"What to do: {found.next_step}")
    return Exit.OK


def run_magic(*, as_json: bool) -> int:
    from sip.sandbox.scripts import MAGIC

    if as_json:
        print(json.dumps([{"number": number, "title": script.title} for number, script in MAGIC.items()]))
        return Exit.OK
    for number, script in MAGIC.items():
        print(f"+{number}  {script.title}")
    print("every other number: answers and listens to the end")
    return Exit.OK
