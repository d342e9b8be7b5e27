"""`tocsin chaos`: declared on the command line, obeyed by the phone, told truly by the calls."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.command import tocsin, towards
from tests.service import LIVE_KEY, Service, running
from tests.until import until
from voice.explain import Exit

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

NUMBER = "2348020000000"
# Still being said when the silence after a lost BYE has lasted long enough to end the call.
WORDS = "This is a message that takes some seconds to be read out to whoever picks up the phone. " * 3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with running(tmp_path_factory.mktemp("chaos")) as service:
        yield service


async def declare(service: Service, *faults: str) -> None:
    """And wait until the phone has it, as its log says."""
    told = sum("chaos declared" in line for line in service.log)
    said = await tocsin("chaos", *(("set", *faults) if faults else ("off",)), **towards(service))
    assert said.code == Exit.OK, said
    await until(lambda: sum("chaos declared" in line for line in service.log) > told, 5)


async def test_chaos_is_told_as_it_was_written(service: Service) -> None:
    said = await tocsin("chaos", "set", "busy=10%", "delay=2s", "seed=0", **towards(service))
    now = await tocsin("chaos", "get", "--json", **towards(service))
    off = await tocsin("chaos", "off", **towards(service))

    assert (said.code, said.out) == (Exit.OK, "busy=10% delay=2000ms seed=0\n")
    assert (now.json["on"], now.json["busy_pct"], now.json["seed"]) == (True, 10, 0)
    assert off.out == "off\n"
    assert (await tocsin("chaos", "set", "bsuy=1%", **towards(service))).code == Exit.USAGE
    assert (await tocsin("chaos", "get", **towards(service, LIVE_KEY))).code == Exit.AUTH


async def test_each_fault_ends_a_call_as_named_and_a_magic_number_is_not_touched(service: Service) -> None:
    ends = {}
    for fault in ("busy=100%", "trunk_503=100%", "no_bye=100%", "wrong_codec=100%"):
        await declare(service, fault)
        ends[fault] = await service.call(to=NUMBER, text=WORDS)
        if fault == "busy=100%":
            control = await service.call(to="12025550100", text="Hello.")
    await declare(service)
    calm = await service.call(to=NUMBER, text="Hello.")

    assert {fault: (call["status"], call["hangup_cause"]) for fault, call in ends.items() if "codec" not in fault} == {
        "busy=100%": ("busy", "user_busy"),
        "trunk_503=100%": ("failed", "trunk_failure"),
        "no_bye=100%": ("completed", "media_timeout"),
    }
    assert (ends["wrong_codec=100%"]["heard_pct"], ends["wrong_codec=100%"]["played_to_end"]) == (0, False)
    assert (control["status"], calm["status"], calm["played_to_end"]) == ("completed", "completed", True)


async def test_the_declared_share_of_real_calls_is_busy(service: Service) -> None:
    await declare(service, "busy=70%", "trunk_503=30%", "seed=3")
    async with service.client() as http:
        numbers = [f"23480200{number:05d}" for number in range(100)]
        sent = (await http.post("/v1/sendvoice", json={"to": numbers, "text": "Hello."})).json()
        path = f"/v1/sendvoice/status/{sent['ref_id']}"

        async def finished() -> bool:
            return bool((await http.get(path)).json()["status"] == "finished")

        await until(finished, 90)
        calls = (await http.get("/v1/calls", params={"ref_id": sent["ref_id"], "limit": 200})).json()["data"]
    await declare(service)

    assert Counter(call["hangup_cause"] for call in calls) == {"user_busy": 70, "trunk_failure": 30}
