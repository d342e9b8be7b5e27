"""The outcome table over the whole service, every row at once: SIPp plays the far ends, the API tells what came of it.

One service, a trunk for each thing that would stop a trunk, and one more behind them all: the INVITEs that reach it are
the failover decision.
"""

import asyncio
import contextlib
import functools
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from config.children import free_port
from tests import sipp
from tests.acceptance import outcome_rows as table
from tests.acceptance.outcome_carrier import Ears, carrier, refuses
from tests.acceptance.outcome_rows import CAUSES, Row, rows
from tests.service import LIVE_KEY, Service, descendants, running
from tests.sip.tones import SIGNALS
from tests.until import time_passes, until

EVERY_CODE = bool(os.environ.get("EVERY_CODE"))
pytestmark = [pytest.mark.sip, pytest.mark.peer, pytest.mark.timeout(1500 if EVERY_CODE else 600)]

TEXT = "One."
NUMBER = "2347080670000"
LOOK_EVERY_S = 0.5
AT_ONCE = 6
_STATES = ("queued", "dialing", "ringing", "answered", "final")
WITHIN_S = 240.0  # a session that nobody refreshes takes 60 s, and the rest of it is for a busy machine
RETRYABLE = ("later", "next_trunk", "none")  # none: it was never tried, so a later valid_until helps

Kill = Callable[[str], None]


async def test_every_row_holds_from_the_wire_to_the_call(tmp_path: Path) -> None:
    async with carriers(tmp_path) as (made, firsts, second, places), started(tmp_path, places) as service:
        calls = await _all_called(service, made, lambda number: _kill_line(service, firsts, number))
        explained = await _explained(service, [legs[0]["call_id"] for legs in calls.values()])
    rung = _rung(second)

    wrong = []
    for row in made:
        call = calls[row.number][0]
        expected, seen = _expected(row), _seen(row, call, explained[call["call_id"]], rung)
        if seen != expected:
            differs = {name: (expected[name], seen[name]) for name in expected if expected[name] != seen[name]}
            wrong.append(f"{row.name} ({row.number}): {differs}; {call['route']}")
    assert not wrong, f"{len(wrong)} of {len(made)} rows, each (expected, seen):\n" + "\n".join(wrong)
    dialled = sum((_rung(uas) for uas in firsts), Counter())
    assert all(dialled[row.number] == 1 for row in made if row.steps)


def _expected(row: Row) -> dict[str, Any]:
    says = row.says
    code, source, fault = CAUSES[says.cause]
    uncertain = says.again == "uncertain"
    return {
        "status": says.status,
        "hangup_cause": says.cause,
        "hangup_cause_code": code,
        "hangup_source": says.source or source,
        "fault": fault,
        "sip": says.sip,
        "q850": says.q850 if says.sip else None,
        "permanent": says.again in ("dead_number", "refused"),
        "may_have_rung": uncertain if says.rang is None else says.rang,
        "retryable": says.again in RETRYABLE,
        "side": fault,
        "second": row.second,
        "legs": 1 + row.second,
        "start_at": bool(row.steps) or row.trunk == table.RESET,
    }


def _seen(row: Row, call: dict[str, Any], explained: dict[str, Any], rung: Counter[str]) -> dict[str, Any]:
    sip = call["sip"]
    return {
        **{name: call[name] for name in ("status", "hangup_cause", "hangup_cause_code", "hangup_source", "fault")},
        "sip": (sip["code"], sip["origin"]) if sip else None,
        "q850": sip["q850"] if sip else None,
        "permanent": call["permanent"],
        "may_have_rung": call["may_have_rung"],
        "retryable": explained["retryable"],
        "side": explained["side"],
        "second": rung[row.number],
        "legs": call["legs"],
        "start_at": call["start_at"] is not None,
    }


def _rung(uas: sipp.Sipp) -> Counter[str]:
    """How often each number was dialled there: an INVITE that is only repeated has the Call-ID of the first."""
    dialogs = {(m.header("Call-ID"), m.first.split(":")[1].split("@")[0]) for m in uas.received("INVITE")}
    return Counter(number for _, number in dialogs)


# -- calling them all


def started(folder: Path, places: Mapping[str, str]) -> contextlib.AbstractAsyncContextManager[Service]:
    """Many trunks: each starts a process or two."""
    return running(folder / "data", ready_s=90, **places)


async def _all_called(service: Service, made: Sequence[Row], kill: Kill) -> dict[str, list[dict[str, Any]]]:
    """Every row's legs, all final."""
    async with service.client(LIVE_KEY) as http:
        ways = {row.trunk: row.number for row in made}
        await until(functools.partial(_all_have_their_trunk, http, list(ways.values())), WITHIN_S)
        # A trunk with more calls on their way than it prepares at once is full, and the next one takes the call.
        places = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(_played(http, row, places, kill) for row in made))
        return await until(lambda: _final(http), WITHIN_S)


async def _all_have_their_trunk(http: httpx2.AsyncClient, numbers: Sequence[str]) -> bool:
    """The service is ready before the last trunk has its lines; what comes sooner leaves by the one behind."""
    await time_passes(LOOK_EVERY_S)
    found = [(await http.post("/v1/routes/simulate", json={"to": number})).json() for number in numbers]
    waiting = [number for number, way in zip(numbers, found, strict=True) if way["trunk_id"] in (None, "behind")]
    if waiting:
        print(f"still without a trunk: {waiting}")  # shown when this takes too long
    return not waiting


async def _played(http: httpx2.AsyncClient, row: Row, places: asyncio.Semaphore, kill_line: Kill) -> None:
    """Place the call; its place is free when the far end has said something, or another trunk has had its turn."""
    async with places:
        until_then = {"valid_until": (datetime.now(UTC) + row.valid_for).isoformat()} if row.valid_for else {}
        response = await http.post("/v1/calls", json={"to": row.number, "text": TEXT} | row.ask | until_then)
        assert response.status_code == 202, response.text
        call_id = response.json()["call_id"]
        # "dialing" is no proof: without a free line it goes back to "queued".
        await _comes_to(http, call_id, row.act_in or ("final" if row.second else "ringing" if row.steps else "queued"))
    if row.act_in:
        await _comes_to(http, call_id, row.act_in)
        if row.trunk == table.DIES:
            kill_line(row.number)
        else:
            assert (await http.post(f"/v1/calls/{call_id}/hangup")).status_code == 202


def _kill_line(service: Service, firsts: Sequence[sipp.Sipp], number: str) -> None:
    """The line process that this number was dialled from, by the port that its INVITE came from."""
    [invite] = [m for uas in firsts for m in uas.received("INVITE") if f"sip:{number}@" in m.first]
    port = int(invite.header("Via").partition(";")[0].rpartition(":")[2])
    lines = (line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:])
    [socket_of_it] = [f"socket:[{line[9]}]" for line in lines if line[1].endswith(f":{port:04X}")]
    [pid] = [pid for pid in descendants(service.process.pid) if socket_of_it in _open_files(pid)]
    os.kill(pid, signal.SIGKILL)


def _open_files(pid: int) -> set[str]:
    found = set()
    for file in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):  # closed meanwhile
            found.add(os.readlink(file))
    return found


async def _comes_to(http: httpx2.AsyncClient, call_id: str, state: str) -> None:
    async def is_there() -> bool:
        await time_passes(0.1)
        call = (await http.get(f"/v1/calls/{call_id}")).json()
        # One that ended before it came so far is of no further interest here: its row will say what was wrong.
        return call["end_at"] is not None or _STATES.index(call["status"]) >= _STATES.index(state)

    await until(is_there, WITHIN_S)


async def _final(http: httpx2.AsyncClient) -> dict[str, list[dict[str, Any]]] | None:
    """Every leg, by number; None while one is not final. The next leg is stored together with the end of the first."""
    await time_passes(LOOK_EVERY_S)
    found: dict[str, list[dict[str, Any]]] = {}
    cursor: str | None = ""
    while cursor is not None:
        page = (await http.get("/v1/calls", params={"limit": 200} | ({"cursor": cursor} if cursor else {}))).json()
        for call in page["data"]:
            found.setdefault(call["to_number"], []).append(call)
        cursor = page["next_cursor"]
    if any(call["end_at"] is None for legs in found.values() for call in legs):
        return None
    for legs in found.values():
        legs.sort(key=lambda call: call["route"]["hop"] if call["route"] else 1)
        legs[0]["legs"] = len(legs)
    return found


async def _explained(service: Service, call_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    async with service.client(LIVE_KEY) as http:
        return {call_id: (await http.get(f"/v1/calls/{call_id}/explain")).json() for call_id in call_ids}


# -- the far ends


@contextlib.asynccontextmanager
async def carriers(folder: Path) -> AsyncIterator[tuple[list[Row], list[sipp.Sipp], sipp.Sipp, dict[str, str]]]:
    """The rows, the carriers, the one behind them all, and what the service has to be told."""
    async with contextlib.AsyncExitStack() as stack:
        talking = await stack.enter_async_context(sipp.Ear(talks=True))
        mute = await stack.enter_async_context(sipp.Ear())
        announcing = {
            name: (await stack.enter_async_context(sipp.Ear(talks=True, says=SIGNALS[sit]))).port
            for name, (sit, _, _) in table.ANNOUNCED.items()
        }
        made = rows(Ears(talking.port, mute.port, announcing), EVERY_CODE)
        long = ("-timeout", "300")
        firsts: dict[int, sipp.Sipp] = {}  # by trunk; those below CODES share one
        for trunk in sorted({max(row.trunk, table.CODES - 1) for row in made}):
            plays = {row.digits: row.steps for row in made if row.steps and max(row.trunk, table.CODES - 1) == trunk}
            firsts[trunk] = await stack.enter_async_context(sipp.Sipp(carrier(plays), folder, *long))
        second = sipp.Sipp(sipp.scenario(sipp.recv("INVITE"), *refuses("486 Busy Here")), folder, *long)
        await stack.enter_async_context(second)
        cutter = await stack.enter_async_context(await asyncio.start_server(_cut, "127.0.0.1", 0))
        cut_port = cutter.sockets[0].getsockname()[1]
        trunks = folder / "trunks.toml"
        trunks.write_text(_trunks({trunk: uas.port for trunk, uas in firsts.items()}, second.port, cut_port))
        yield (
            made,
            list(firsts.values()),
            second,
            {"TOCSIN_TRUNKS": str(trunks), "TOCSIN_LINES__MOST": "60", "TOCSIN_ACCOUNT__CALLER_IDS": NUMBER},
        )


async def _cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the whole INVITE, and cut the connection."""
    with contextlib.suppress(OSError):
        await reader.readuntil(b"m=audio")
        writer.transport.abort()


def _trunks(firsts: Mapping[int, int], second: int, cut: int) -> str:
    closed, first = free_port(socket.SOCK_STREAM), firsts[table.CODES - 1]
    own = {
        table.MAIN: ("main", f"127.0.0.1:{first}", ""),
        table.SILENT: ("silent", f"127.0.0.1:{first}", ""),
        table.LISTED: ("listed", f"127.0.0.1:{first}", 'failover.on = ["trunk_timeout"]'),
        table.LOGIN_401: ("login-401", f"127.0.0.1:{first}", _LOGIN),
        table.LOGIN_407: ("login-407", f"127.0.0.1:{first}", _LOGIN),
        table.CREDIT: ("credit", f"127.0.0.1:{first}", ""),
        table.REST: ("rest", f"127.0.0.1:{first}", ""),
        table.CLOSED: ("closed", f"127.0.0.1:{closed}", 'transport = "tcp"'),
        table.NO_NAME: ("no-name", "nobody.invalid", 'bind_address = "127.0.0.1"'),
        table.MUTE: ("mute", f"127.0.0.1:{first}", "rtp.timeout_s = 3"),
        table.NEEDS_RTP: ("needs-rtp", f"127.0.0.1:{first}", "rtp.required = true"),
        table.DIES: ("dies", f"127.0.0.1:{first}", ""),
        table.RESET: ("reset", f"127.0.0.1:{cut}", 'transport = "tcp"'),
    }
    own |= {n: (f"codes-{n}", f"127.0.0.1:{port}", "") for n, port in firsts.items() if n >= table.CODES}
    sections = [_section("behind", f"127.0.0.1:{second}", "priority = 9")]
    closed_today = f'schedule = [{{days = ["{_DAYS[(datetime.now(UTC).weekday() + 3) % 7]}"]}}]'
    sections += [
        _section("shut", f"127.0.0.1:{first}", closed_today),
        _section("dear", f"127.0.0.1:{first}", 'price = "2"\nlimits.max_rate = "1"'),
        _section("other-caller", f"127.0.0.1:{first}", numbers="2347080670009"),
    ]
    sections += [_section(name, host, f'prefixes = ["234802{n}"]', more) for n, (name, host, more) in own.items()]
    return "\n".join(sections)


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LOGIN = 'username = "us"\nrealm = "carrier"\npassword = {plain = "wrong"}'


def _section(name: str, host: str, *more: str, numbers: str = NUMBER) -> str:
    facts = f'host = "{host}"', f'caller_ids = ["{numbers}"]', "channels = 60", "cps = 1000"
    return "\n".join([f"[trunks.{name}]", *facts, *filter(None, more), ""])
