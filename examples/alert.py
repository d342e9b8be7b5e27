"""Ring somebody until a key is pressed: exit code 0 when it was, 1 when not. Standard library only.

    python examples/alert.py 12025550110 "Disk full on database one. Press 1 to acknowledge."

Several numbers are tried in turn. TOCSIN_URL and TOCSIN_API_KEY say where the service is and who asks.
"""

import json
import os
import sys
import urllib.error
import urllib.request
import uuid
from typing import Any

URL = os.environ.get("TOCSIN_URL", "http://127.0.0.1:8088")
KEY = os.environ.get("TOCSIN_API_KEY", "tk_test_demo")
ACKNOWLEDGE = "1"
# The service holds the answer back for 60 s at most; a call may take longer, so we ask again after that.
WAIT_S, MOST_S = 60, 600


def ask(path: str, body: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
    request = urllib.request.Request(
        URL + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"} | headers,
    )
    with urllib.request.urlopen(request, timeout=WAIT_S + 10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def ring(number: str, text: str) -> dict[str, Any]:
    """The final Call object. The key makes a repeated request harmless: one call, whatever the network does."""
    call = ask(
        "/v1/calls",
        {"to": number, "text": text, "gather": {"digits_max": 1}},
        **{"Prefer": f"wait={WAIT_S}", "Idempotency-Key": str(uuid.uuid4())},
    )
    if call["end_at"] is None:
        follow(call["call_id"])
        call = ask(f"/v1/calls/{call['call_id']}")
    return call


def follow(call_id: str) -> None:
    """Read the call's events until it has ended; the service closes the stream then."""
    request = urllib.request.Request(
        f"{URL}/v1/calls/{call_id}/events",
        headers={"Authorization": f"Bearer {KEY}", "Accept": "text/event-stream"},
    )
    with urllib.request.urlopen(request, timeout=MOST_S) as stream:
        for _ in stream:
            pass


def main(numbers: list[str], text: str) -> int:
    for number in numbers:
        try:
            call = ring(number, text)
        except urllib.error.HTTPError as error:
            problem = json.load(error)
            print(f"{number}: {problem['code']}: {problem['detail']} {problem['hint']}", file=sys.stderr)
            continue
        if call["digits"] == ACKNOWLEDGE:
            print(f"{number}: acknowledged")
            return 0
        print(f"{number}: {call['status']}, {call['hangup_cause']}, keys {call['digits'] or 'none'}")
    return 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:-1], sys.argv[-1]))
