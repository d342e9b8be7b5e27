"""Receive Tocsin's webhooks: verify, answer at once, take each event only once.

    TOCSIN_WEBHOOK_SECRET=whsec_… python examples/webhook_receiver.py --port 9000

Needs `fastapi`, `uvicorn` and `standardwebhooks`, which Tocsin's own environment has.
"""

import argparse
import os
import sys

import uvicorn
from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError

# In memory it forgets at a restart; keep the ids where the rest of your data is.
seen: set[str] = set()
app = FastAPI()


@app.post("/hook")
async def hook(request: Request) -> Response:
    # The signature is over the bytes: verify before anything parses and writes them anew.
    body = await request.body()
    try:
        event = Webhook(os.environ["TOCSIN_WEBHOOK_SECRET"]).verify(body, dict(request.headers))
    except WebhookVerificationError as error:
        print(f"refused: {error}", file=sys.stderr)
        return Response(status_code=401)
    # Delivery is at least once: the same event comes again, with the same id, when an answer was lost.
    if (event_id := request.headers["webhook-id"]) not in seen:
        seen.add(event_id)
        call = event["data"]
        print(f"{event['type']:<14} {call['to_number']}  {call['status']}  keys {call['digits'] or '-'}", flush=True)
    return Response(status_code=204)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9000)
    if "TOCSIN_WEBHOOK_SECRET" not in os.environ:
        parser.error("TOCSIN_WEBHOOK_SECRET is not set: it stands in webhook.secret of the service's data directory")
    uvicorn.run(app, host="127.0.0.1", port=parser.parse_args().port, log_level="warning")
