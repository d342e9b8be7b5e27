"""The journal of a line process whose parent is gone."""

from pathlib import Path

from sip import lastwords
from sip.commands import Why
from sip.events import Ended, Origin, Phase, RtpStats


def end(call_id: str, at: float) -> Ended:
    return Ended(
        call_id,
        at,
        200,
        "OK",
        Origin.LOCAL,
        Phase.ANSWERED,
        by_us=True,
        why=Why.SHUTDOWN,
        rtp=RtpStats(sent_packets=7),
        reason_header='Q.850;text="ü"',
    )


def test_what_was_written_is_read_once_oldest_first(tmp_path: Path) -> None:
    lastwords.write(tmp_path, [end("b", 2.0), end("a", 1.0)])
    lastwords.write(tmp_path, [end("c", 1.5)])

    assert lastwords.read_journals(tmp_path) == [end("a", 1.0), end("c", 1.5), end("b", 2.0)]
    assert lastwords.read_journals(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_no_calls_no_file(tmp_path: Path) -> None:
    assert lastwords.write(tmp_path / "journal", []) is None
    assert not (tmp_path / "journal").exists()
    assert lastwords.read_journals(tmp_path / "journal") == []


def test_a_broken_line_costs_itself_only_and_the_file_is_kept(tmp_path: Path) -> None:
    path = lastwords.write(tmp_path, [end("a", 1.0), end("b", 2.0)])
    assert path is not None
    text = path.read_text().splitlines()
    path.write_text("\n".join([text[0], '{"type":"Pong","number":1}', text[1][:40]]))

    assert lastwords.read_journals(tmp_path) == [end("a", 1.0)]
    assert [kept.suffix for kept in tmp_path.iterdir()] == [".broken"]
    assert lastwords.read_journals(tmp_path) == []


def test_a_file_that_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    half = tmp_path / "1-2-3.half"
    half.write_text("{")

    assert lastwords.read_journals(tmp_path) == []
    assert half.exists()
