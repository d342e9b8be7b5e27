"""Which numbers an account may show."""

import pytest

from sip.trunk import Trunk, TrunkUri
from voice.caller_ids import FICTIONAL, caller_ids


def trunk(*shown: str, host: str = "192.0.2.1", sandbox: bool = False, enabled: bool = True) -> Trunk:
    return Trunk("t", "t", (TrunkUri(host),), sandbox=sandbox, caller_ids=shown, enabled=enabled)


@pytest.mark.parametrize(
    ("own", "trunks", "sandbox", "expected"),
    [
        (["2347080670000"], [trunk()], False, ("2347080670000",)),
        (
            [],
            [trunk("2347080670000"), trunk("2347080670001", "2347080670000")],
            False,
            ("2347080670000", "2347080670001"),
        ),
        (["1", "2"], [trunk("2", "3")], False, ("2",)),
        ([], [trunk()], False, ()),
        ([], [trunk(host="127.0.0.1")], False, (FICTIONAL,)),
        ([], [trunk(host="127.0.0.1"), trunk()], False, ()),
        ([], [trunk(host="127.0.0.1", sandbox=True)], False, ()),
        ([], [trunk("2347080670000", enabled=False)], False, ()),
        ([], [], True, (FICTIONAL,)),
        (["2347080670000"], [], True, ("2347080670000",)),
    ],
)
def test_a_live_call_shows_only_what_somebody_said_is_ours(
    own: list[str], trunks: list[Trunk], sandbox: bool, expected: tuple[str, ...]
) -> None:
    assert caller_ids(own, trunks, sandbox=sandbox) == expected
