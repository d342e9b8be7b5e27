"""Requests are judged whole, accepted once, and predicted without a trace."""

import json
import random
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from config.settings import Settings
from media.prompt import Prompt
from media.speech import SpeechError
from messaging.clock import SystemClock
from messaging.errors import IdempotencyMismatch, Invalid, NotFound, SpeechFailed
from tests.voice_values import now
from voice.caps import Overrun
from voice.destinations import Destinations
from voice.messages import Callback, MessageStatus, SandboxScript, Script
from voice.orders import LiveTrunk
from voice.sending import Receipt, Request, Sender, Sending
from voice.store import Accepted, CallFilter, Intent, Lane
from voice.store_memory import MemoryCallStore

TESTER = Sender("main.test", True, ("12025550199",), "NG")
NUMBERS = ("12025550199", "2347080670000")
CUSTOMER = Sender(
    "main.live", False, NUMBERS, None,
    live_trunks={"carrier": LiveTrunk()}, destinations=Destinations.of(NUMBERS, ("gb",)),
)  # fmt: skip
HELLO = Request(to=("12025550100",), text="Hello")


@dataclass(frozen=True)
class Sound:
    duration_ms: int = 1200
    warnings: tuple[str, ...] = ("gtts has no voices",)


class Speaks:
    async def audio(self, prompt: Prompt) -> Sound:
        if prompt.text == "unspeakable":
            raise SpeechError("no engine speaks that")
        return Sound()


async def nobody_suspends(owner: str, key_id: str, overrun: Overrun) -> None:
    raise AssertionError("nothing is limited here")


@pytest.fixture
def store() -> MemoryCallStore:
    return MemoryCallStore()


@pytest.fixture
def sending(store: MemoryCallStore) -> Sending:
    return Sending(store, Speaks(), Settings(), SystemClock(), random.Random(7), nobody_suspends)


def answer(receipt: Receipt) -> tuple[int, str]:
    return 200, json.dumps({"ref_id": receipt.ref_id})


async def accepted(sending: Sending, sender: Sender = TESTER, request: Request = HELLO) -> Receipt:
    receipt = await sending.send(sender, request)
    assert isinstance(receipt, Receipt)
    return receipt


async def refused(sending: Sending, sender: Sender = TESTER, **changes: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        await sending.send(sender, replace(HELLO, **changes))
    return {error.pointer: error.code for error in caught.value.errors}


async def test_a_call_may_wait_for_a_year_and_no_longer(sending: Sending) -> None:
    year = timedelta(days=366)

    assert await refused(sending, send_at=now() + year + timedelta(hours=1)) == {"#/send_at": "too_late"}
    assert await refused(sending, valid_until=now() + year + timedelta(hours=1)) == {"#/valid_until": "too_late"}
    receipt = await accepted(sending, request=replace(HELLO, send_at=now() + year - timedelta(hours=1)))
    assert len(receipt.call_ids) == 1


async def test_an_accepted_request_is_stored_with_one_call_per_number(sending: Sending, store: MemoryCallStore) -> None:
    to = ("+12025550100", "0012025550101", "12025550100")

    receipt = await accepted(sending, request=replace(HELLO, to=to, client_reference="r1", callback_data="x"))

    assert receipt.accepted == ("12025550100", "12025550101")
    calls = [await store.call("main.test", call_id) for call_id in receipt.call_ids]
    assert [call and (call.to_number, call.recipient, call.sequence, call.callback_data) for call in calls] == [
        ("12025550100", 0, 1, "x"),
        ("12025550101", 1, 1, "x"),
    ]
    progress = await sending.status("main.test", receipt.ref_id)
    assert (progress.tally.total, progress.tally.status) == (2, MessageStatus.ACCEPTED)
    assert progress.message.valid_until - progress.message.due_at == timedelta(hours=24)
    assert await store.queued(Lane.SANDBOX) == 2


async def test_bad_numbers_are_named_beside_the_good_ones(sending: Sending) -> None:
    receipt = await accepted(sending, request=replace(HELLO, to=("0802", "12025550100", "x")))

    assert receipt.accepted == ("12025550100",)
    assert [(no.to, no.index) for no in receipt.refused] == [("0802", 0), ("x", 2)]


async def test_only_bad_numbers_are_an_error_each(sending: Sending) -> None:
    assert set(await refused(sending, to=("0802", "x"))) == {"#/to/0", "#/to/1"}


async def test_a_live_key_never_reaches_a_magic_number(sending: Sending, store: MemoryCallStore) -> None:
    errors = await refused(sending, CUSTOMER)
    receipt = await accepted(sending, CUSTOMER, replace(HELLO, to=("12025550100", "2348020000000")))

    assert errors == {"#/to/0": "sandbox_number"}
    assert receipt.accepted == ("2348020000000",)
    assert [no.code for no in receipt.refused] == ["SANDBOX_NUMBER"]
    assert await store.queued(Lane.LIVE) == 1


async def test_everything_that_is_wrong_is_said_at_once(sending: Sending) -> None:
    errors = await refused(
        sending,
        CUSTOMER,
        to=(),
        text=" ",
        from_number="15550001111",
        speed=9.0,
        script=Script(repeat=99, sandbox=SandboxScript()),
        valid_until=now() - timedelta(hours=1),
    )

    assert errors == {
        "#/to": "required",
        "#/text": "required",
        "#/repeat": "out_of_range",
        "#/speed": "out_of_range",
        "#/sandbox": "not_allowed",
        "#/from": "not_yours",
        "#/valid_until": "too_early",
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"text": None}, {"#/text": "one_of"}),
        ({"media_url": "https://example.com/a.mp3"}, {"#/text": "one_of"}),
        ({"text": "x" * 1001}, {"#/text": "too_long"}),
        ({"to": tuple(f"23480200{index:05d}" for index in range(1001))}, {"#/to": "too_many"}),
    ],
)
async def test_a_limit_is_a_limit(sending: Sending, changes: dict[str, Any], expected: dict[str, str]) -> None:
    assert await refused(sending, **changes) == expected


async def test_a_thousand_unique_numbers_may_come_with_repeats(sending: Sending) -> None:
    thousand = tuple(f"23480200{index:05d}" for index in range(1000))

    receipt = await accepted(sending, request=replace(HELLO, to=(*thousand, *thousand[:50])))

    assert receipt.accepted == thousand
    assert list(receipt.call_ids) == sorted(receipt.call_ids)


async def test_a_past_send_at_means_at_once_and_validity_counts_from_the_due_time(sending: Sending) -> None:
    past = await accepted(sending, request=replace(HELLO, send_at=now() - timedelta(days=1)))
    later = await accepted(sending, request=replace(HELLO, send_at=now() + timedelta(days=2)))

    now_due = (await sending.status("main.test", past.ref_id)).message
    scheduled = (await sending.status("main.test", later.ref_id)).message
    assert now_due.due_at == past.accepted_at
    assert scheduled.valid_until - scheduled.due_at == timedelta(hours=24)
    assert await refused(sending, send_at=now() + timedelta(hours=2), valid_until=now() + timedelta(hours=1)) == {
        "#/valid_until": "too_early"
    }


async def test_without_from_a_caller_id_is_drawn_and_a_given_one_must_be_ours(sending: Sending) -> None:
    request = Request(to=("2348020000000",), text="Hello")
    drawn = set()
    for _ in range(20):
        await accepted(sending, CUSTOMER, request)
    for call in (await sending.calls("main.live", CallFilter(), None, 50)).calls:
        drawn.add(call.from_number)
    asked = await accepted(sending, CUSTOMER, replace(request, from_number="+234 708 067 0000"))

    assert drawn == set(CUSTOMER.caller_ids)
    assert (await sending.call("main.live", asked.call_ids[0])).from_number == "2347080670000"


async def test_a_key_repeats_its_first_answer_and_refuses_another_body(sending: Sending) -> None:
    once = ("main.test:POST:/v1/sendvoice:k", "print")
    first = await sending.send(TESTER, HELLO, once, answer)
    assert isinstance(first, Receipt)

    again = await sending.send(TESTER, replace(HELLO, text=None), once, answer)

    assert again == Accepted(True, 200, json.dumps({"ref_id": first.ref_id}))
    with pytest.raises(IdempotencyMismatch):
        await sending.send(TESTER, HELLO, (once[0], "other"), answer)


async def test_a_dry_run_renders_and_stores_nothing(sending: Sending, store: MemoryCallStore) -> None:
    receipt = await accepted(sending, request=replace(HELLO, dry_run=True, to=("12025550100", "0802")))

    assert (receipt.dry_run, receipt.audio_ms, receipt.call_ids) == (True, 1200, ())
    assert receipt.accepted == ("12025550100",)
    assert "gtts has no voices" in receipt.warnings
    assert await store.queued(Lane.SANDBOX) == 0
    with pytest.raises(SpeechFailed):
        await sending.send(TESTER, replace(HELLO, dry_run=True, text="unspeakable"))


async def test_the_accounts_callback_is_used_unless_the_request_brings_one(sending: Sending) -> None:
    account, own = Callback("https://account.example"), Callback("https://own.example")
    sender = replace(TESTER, callback=account)

    plain = await accepted(sending, sender)
    special = await accepted(sending, sender, replace(HELLO, callback=own))

    assert (await sending.status("main.test", plain.ref_id)).message.callbacks == (account,)
    assert (await sending.status("main.test", special.ref_id)).message.callbacks == (own,)


async def test_canceling_leaves_a_wish_with_every_call_of_the_owners_message(
    sending: Sending, store: MemoryCallStore
) -> None:
    receipt = await accepted(sending, request=replace(HELLO, to=("12025550100", "12025550101")))

    with pytest.raises(NotFound):
        await sending.cancel("other.test", receipt.ref_id)
    await sending.cancel("main.test", receipt.ref_id)

    ended = await store.overdue(Lane.SANDBOX, "d", 10, 15.0)
    assert [lease.intent for lease in ended] == [Intent.CANCEL, Intent.CANCEL]


async def test_what_belongs_to_somebody_else_is_not_found(sending: Sending) -> None:
    receipt = await accepted(sending)
    call_id = receipt.call_ids[0]

    for ask in (sending.call, sending.hang_up, sending.events, sending.trace, sending.follow):
        with pytest.raises(NotFound):
            await ask("other.test", call_id)
    with pytest.raises(NotFound):
        await sending.recipients("other.test", receipt.ref_id, 0, 10)
