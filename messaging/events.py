"""The envelope a webhook carries (pure): the body of Standard Webhooks 1.0, as the exact text to sign and send."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from messaging.clock import rfc3339


def envelope(type: str, at: datetime, data: Mapping[str, Any]) -> str:
    """`{"type", "timestamp", "data"}`; `data` is the full current object and its `sequence`."""
    return flat({"type": type, "timestamp": rfc3339(at), "data": data})


def flat(data: Mapping[str, Any]) -> str:
    """The object itself as the whole body, in its own order: the 9bits format.

    Plain ASCII, so that no text anybody sent can make it unsendable. Raises ValueError for NaN and infinity.
    """
    return json.dumps(data, separators=(",", ":"), allow_nan=False)
