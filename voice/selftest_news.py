"""`trunk.tested`: who tested a trunk and what came of it, in the feed of the account and at its events_url."""

from dataclasses import replace

from messaging import ids
from messaging.events import envelope
from voice.selftest import TrunkTest
from voice.store import Delivery
from voice.trunk_record import FeedEvent, TrunkRecord

TESTED = "trunk.tested"
TRIES_MOST = 5  # dialers that tell something of the same trunk take turns; so many in a row are no accident


class SelfTestNews:
    """`url`: who is posted to; None: nobody."""

    def __init__(self, record: TrunkRecord, url: str | None = None) -> None:
        self._record, self._url = record, url

    async def tell(self, test: TrunkTest) -> bool:
        """False: others were always quicker. Raises Unavailable."""
        at, event_id, delivery_id = test.ended_at or test.asked_at, ids.event_id(), ids.delivery_id()
        for _ in range(TRIES_MOST):
            before = await self._record.told(test.trunk_id)
            after = replace(before, version=before.version + 1, sequence=before.sequence + 1)
            data = {"trunk_id": test.trunk_id, "sequence": after.sequence, "key_id": test.key_id, **test.as_object()}
            event = FeedEvent(event_id, TESTED, at, after.sequence, test.trunk_id, data)
            posts = (Delivery(delivery_id, event_id, self._url, envelope(TESTED, at, data)),) if self._url else ()
            if await self._record.tell(test.trunk_id, before, after, test.owner, event, posts):
                return True
        return False
