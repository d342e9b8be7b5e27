"""The courier: takes deliveries from the outbox, signs, posts, and records each try, until it is stopped.

At least once: a courier that dies at any line leaves a lease that lapses, and the delivery goes out again under the
same webhook-id. What was sent is recorded in one script that may be repeated. Several couriers share the work.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx2
import structlog
from redis.asyncio import Redis

from messaging.accounts import Mode, owner_mode
from messaging.clock import Clock
from messaging.deliveries import Deliveries, Delivery, Move, State, Try
from messaging.errors import Unavailable
from messaging.guard import AddressRefused
from messaging.lanes import Job, Lanes
from messaging.queue import Queue
from messaging.webhooks import STANDARD, Schedule, Verdict, next_try, retry_after, sign, verdict

log = structlog.get_logger(__name__)

Secrets = Callable[[str], Sequence[str]]  # owner -> signing secrets, the newest first

TOTAL_S = 15.0
LEASE_MARGIN_S = 5.0  # the lease outlives the longest try
MOST_AT_ONCE = 128
MOST_PER_ENDPOINT = 8
MOST_HELD = 1024  # leased by this courier, sent or waiting in a lane
BATCH = 64
IDLE_S = 10.0  # the longest wait for a wake-up
BACK_OFF_FIRST_S, BACK_OFF_MOST_S = 0.1, 2.0  # while the store does not answer
ANSWER_MOST_BYTES = 64 * 1024
ANSWER_BODY_S = 2.0  # the status is what counts; the rest is read out of politeness
DRAIN_S = TOTAL_S + 1

_FATE = {Verdict.DELIVERED: Move.DONE, Verdict.FINAL: Move.DEAD, Verdict.GONE: Move.DEAD}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a POST came back with: a status, or the word for why there is none."""

    status: int | None = None
    error: str | None = None
    retry_after: str | None = None


class Courier:
    """`clients` by mode: each carries its own address policy (guard.guarded_client). `run()` once."""

    def __init__(
        self,
        queue: Queue,
        redis: Redis,
        prefix: str,
        clients: Mapping[Mode, httpx2.AsyncClient],
        secrets: Secrets,
        clock: Clock,
        *,
        schedule: Schedule = STANDARD,
        total_s: float = TOTAL_S,
        most_at_once: int = MOST_AT_ONCE,
        most_per_endpoint: int = MOST_PER_ENDPOINT,
        drain_s: float = DRAIN_S,
        lease_s: float | None = None,
        rng: Random | None = None,
    ) -> None:
        self._queue = queue
        self._deliveries = Deliveries(redis, prefix)
        self._clients = clients
        self._secrets = secrets
        self._clock = clock
        self._schedule = schedule
        self._total_s = total_s
        self._lease_s = total_s + LEASE_MARGIN_S if lease_s is None else lease_s
        self._drain_s = drain_s
        self._rng = rng
        self._lanes = Lanes(most_at_once, most_per_endpoint)
        self._held: dict[str, Delivery] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._room = asyncio.Event()

    def stop(self) -> None:
        """Take nothing more; `run` returns when what is being sent has ended, at the latest after `drain_s`."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop()`, or cancelled: then what is being sent is cut off and goes out again."""
        renewing = asyncio.create_task(self._renew(), name="courier leases")
        pause_s = BACK_OFF_FIRST_S
        drain_s = 0.0
        try:
            while not self._stopping.is_set():
                try:
                    await self._round()
                    pause_s = BACK_OFF_FIRST_S
                    continue
                except Unavailable:
                    log.warning("courier waits for the store", seconds=pause_s)
                except Exception:
                    log.exception("courier stumbled", seconds=pause_s)
                await self._unless_stopped(asyncio.sleep(pause_s))
                pause_s = min(2 * pause_s, BACK_OFF_MOST_S)
            drain_s = self._drain_s
        finally:
            self._stopping.set()
            await self._drain(drain_s)
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _round(self) -> None:
        """Lease what is due, hand it to the lanes, or wait for more."""
        room = min(MOST_HELD - len(self._held), BATCH)
        if room <= 0:
            self._room.clear()
            await self._unless_stopped(self._room.wait())
            return
        due = await self._queue.lease(room, self._lease_s)
        if due:
            await self._take(due)
        else:
            await self._unless_stopped(self._queue.wait(IDLE_S))

    async def _take(self, delivery_ids: Sequence[str]) -> None:
        put_off: dict[float, list[str]] = {}
        try:
            for delivery_id, delivery in zip(delivery_ids, await self._deliveries.read(delivery_ids), strict=True):
                if delivery_id in self._held:
                    continue  # its lease lapsed while it is being sent here: the renewal brings it back
                if delivery is None or delivery.state is not State.PENDING:
                    await self._queue.done(delivery_id)
                elif (wait_s := self._offer(delivery)) is not None:
                    put_off.setdefault(round(wait_s, 1), []).append(delivery_id)
        finally:
            self._launch()
        for wait_s, late in put_off.items():
            await self._queue.extend(late, wait_s)

    def _offer(self, delivery: Delivery) -> float | None:
        """None: it is held here now. Else the seconds until somebody should look at it again."""
        job = Job(delivery.delivery_id, _endpoint(delivery), delivery.call_id or delivery.delivery_id)
        wait_s = self._lanes.offer(job, self._clock.monotonic())
        if wait_s is None:
            self._held[delivery.delivery_id] = delivery
        return wait_s

    def _launch(self) -> None:
        while not self._stopping.is_set() and (job := self._lanes.next()):
            task = asyncio.create_task(self._deliver(job), name=f"deliver {job.job_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, job: Job) -> None:
        """One try, from signing to its record. The outermost frame of its task."""
        delivery = self._held[job.job_id]
        began = self._clock.monotonic()
        well = False
        try:
            well = await self._try(delivery)
        except Unavailable:
            log.warning("try not recorded; the delivery goes out again", delivery_id=job.job_id)
        except Exception:
            log.exception("courier failed", delivery_id=job.job_id)
        finally:
            now = self._clock.monotonic()
            self._held.pop(job.job_id, None)
            self._lanes.finished(job, well=well, took_s=now - began, now=now)
            self._room.set()
            self._launch()

    async def _try(self, delivery: Delivery) -> bool:
        """Whether the endpoint took it. Raises Unavailable when the result could not be recorded."""
        at, began = self._clock.now(), self._clock.monotonic()
        answer = await self._post(delivery)
        found = verdict(self._schedule, answer.status)
        attempt = Try(
            number=delivery.tries + 1,
            at=at,
            took_ms=round((self._clock.monotonic() - began) * 1000),
            verdict=found,
            status=answer.status,
            error=answer.error,
        )
        move, delay_s = self._fate(delivery, attempt, answer)
        log.info(
            "webhook tried", delivery_id=delivery.delivery_id, event_id=delivery.event_id, verdict=found, move=move
        )
        self._held.pop(delivery.delivery_id, None)  # no renewal from here: it would overrule the new due time
        for pause_s in (0.1, 0.5, 1.0):  # the same script again, until the store answers
            with contextlib.suppress(Unavailable):
                await self._deliveries.record(delivery, attempt, move, delay_s)
                return found is Verdict.DELIVERED
            await asyncio.sleep(pause_s)
        await self._deliveries.record(delivery, attempt, move, delay_s)
        return found is Verdict.DELIVERED

    def _fate(self, delivery: Delivery, attempt: Try, answer: Answer) -> tuple[Move, float]:
        if move := _FATE.get(attempt.verdict):
            return move, 0.0
        now = self._clock.now()
        wait_s = next_try(
            self._schedule,
            attempt.number - delivery.tries_before,
            delivery.failed_first_at or now,
            now,
            retry_after(answer.status, answer.retry_after, now),
            self._rng,
        )
        return (Move.DEAD, 0.0) if wait_s is None else (Move.RETRY, wait_s)

    async def _post(self, delivery: Delivery) -> Answer:
        """Never raises. Once there is a status, whatever happens to the rest of the answer does not change it."""
        answer: Answer | None = None
        try:
            async with asyncio.timeout(self._total_s), self._request(delivery) as response:
                answer = Answer(response.status_code, retry_after=response.headers.get("Retry-After"))
                await _read_a_little(response)
        except AddressRefused as refusal:
            answer = Answer(error=f"address_refused: {refusal}")
        except (TimeoutError, httpx2.TimeoutException):
            answer = answer or Answer(error="timeout")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            answer = answer or Answer(error=type(error).__name__)
        except Exception:  # a bug of ours, or of a library with this URL: it costs this delivery a try, no more
            log.exception("webhook could not be posted", delivery_id=delivery.delivery_id)
            answer = answer or Answer(error="internal")
        return answer

    def _request(self, delivery: Delivery) -> AbstractAsyncContextManager[httpx2.Response]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Tocsin",
            **sign(self._secrets(delivery.owner), delivery.event_id, delivery.body, self._clock.now()),
        }
        client = self._clients[owner_mode(delivery.owner)]
        return client.stream("POST", delivery.url, content=delivery.body.encode(), headers=headers)

    async def _renew(self) -> None:
        """Keep what is held. From this loop and not a thread, so that a stuck courier loses its leases."""
        while True:
            await asyncio.sleep(self._lease_s / 4)
            with contextlib.suppress(Unavailable):
                await self._queue.extend(list(self._held), self._lease_s)

    async def _drain(self, drain_s: float) -> None:
        """Give back what is not being sent, wait for the rest, then cut it off and give it back too."""
        back = [job.job_id for job in self._lanes.drop_waiting()]
        if self._tasks and drain_s > 0:
            await asyncio.wait(self._tasks, timeout=drain_s)
        cut = list(self._tasks)
        back += [delivery_id for delivery_id in self._held if delivery_id not in back]
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)
        self._held.clear()
        try:
            for delivery_id in back:
                await self._queue.retry(delivery_id, 0)
        except Unavailable:
            log.warning("leases left to lapse", count=len(back))

    async def _unless_stopped(self, waiting: Coroutine[Any, Any, Any]) -> None:
        """Wait for it, but no longer than until `stop()`. Raises what it raises."""
        task = asyncio.ensure_future(waiting)
        stopped = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            for one in (task, stopped):
                one.cancel()
            await asyncio.gather(task, stopped, return_exceptions=True)


def _endpoint(delivery: Delivery) -> str:
    """What shares a lane: the host, whatever the path says, and never test with live."""
    host = delivery.url.partition("://")[2].partition("/")[0]  # not parsed: any text has to have a lane
    return f"{owner_mode(delivery.owner)} {host.lower()}"


async def _read_a_little(answer: httpx2.Response) -> None:
    """Let the receiver finish its sentence. Whatever goes wrong here, the status stands."""
    size = 0
    with contextlib.suppress(httpx2.HTTPError, TimeoutError, OSError):
        async with asyncio.timeout(ANSWER_BODY_S):
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if size >= ANSWER_MOST_BYTES:
                    break
