"""Remind several people in one request and see who confirmed. Standard library only.

    python examples/press_one.py 12025550110 12025550111 12025550101

1 confirms, 2 cancels. One request is one message: each number in it has its own call and its own outcome.
"""

import json
import os
import sys
import time
import urllib.request
import uuid
from typing import Any

URL = os.environ.get("TOCSIN_URL", "http://127.0.0.1:8088")
KEY = os.environ.get("TOCSIN_API_KEY", "tk_test_demo")
TEXT = "Your appointment is tomorrow at nine. Press one to confirm, or two to cancel."
MEANING = {"1": "confirmed", "2": "cancelled", "": "no key"}
LOOK_EVERY_S, MOST_S = 1, 300


def ask(path: str, body: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
    request = urllib.request.Request(
        URL + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"} | headers,
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def finished(message: dict[str, Any]) -> bool:
    """Poll until every recipient has its outcome. Webhooks tell the same without asking: webhook_receiver.py."""
    until = time.monotonic() + MOST_S
    while ask(message["status_url"])["status"] not in ("finished", "canceled"):
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


def main(numbers: list[str]) -> int:
    message = ask(
        "/v1/sendvoice",
        {"to": numbers, "text": TEXT, "gather": {"digits_max": 1, "valid": "12"}},
        **{"Idempotency-Key": str(uuid.uuid4())},
    )
    for refused in message["recipients_rejected"]:
        print(f"{refused['to']:<15} not called: {refused['detail']}")
    if not finished(message):
        print("still not finished", file=sys.stderr)
        return 1
    for call_id in message["call_ids"]:
        call = ask(f"/v1/calls/{call_id}")
        what = MEANING.get(call["digits"], "another key") if call["status"] == "completed" else call["status"]
        print(f"{call['to_number']:<15} {what}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
