"""Whose fault it is that there is no audio."""

import random
from datetime import UTC, datetime

import pytest

from config.settings import Settings
from media.audio import AudioError
from media.fetch import MediaError
from media.prompt import Prompt
from media.reading import TextError
from media.speech import EngineDown, SpeechError, Unspeakable
from media.ssml import SsmlError
from messaging.errors import Invalid
from voice.endings import without_audio
from voice.orders import Request, Sender, judge
from voice.sending import speech_failure

TEXT, FILE = Prompt(text="Hello."), Prompt(media_url="https://example.com/a.mp3")
SENDER = Sender(owner="main.test", sandbox=True, caller_ids=("12025550199",), region=None)


@pytest.mark.parametrize(
    ("prompt", "error", "code", "status", "pointer"),
    [
        (TEXT, TextError("x"), "TEXT_INVALID", 422, "#/text"),
        (TEXT, SsmlError("x"), "TEXT_INVALID", 422, "#/text"),
        (TEXT, Unspeakable("x"), "TEXT_INVALID", 422, "#/text"),
        (TEXT, EngineDown("x"), "SPEECH_FAILED", 503, None),
        (TEXT, SpeechError("x"), "SPEECH_FAILED", 503, None),
        (FILE, MediaError("x"), "MEDIA_INVALID", 422, "#/media_url"),
        (FILE, AudioError("x"), "MEDIA_INVALID", 422, "#/media_url"),
        (FILE, SpeechError("the disk is full"), "SPEECH_FAILED", 503, None),
    ],
)
def test_a_failure_names_whose_fault_it_is(
    prompt: Prompt, error: SpeechError, code: str, status: int, pointer: str | None
) -> None:
    failure = speech_failure(prompt, error)

    assert (failure.code, failure.status) == (code, status)
    assert [e.pointer for e in failure.errors] == ([pointer] if pointer else [])


@pytest.mark.parametrize(
    ("prompt", "error", "fault", "detail"),
    [
        (FILE, MediaError("example.com answered 404"), "request", "example.com answered 404"),
        (
            Prompt(media_url="http://10.1.2.3/a"),
            MediaError("10.1.2.3 answered 404"),
            "request",
            "10.1.2.3 answered 404",
        ),
        (TEXT, Unspeakable("there is nothing to speak"), "request", "there is nothing to speak"),
        (
            TEXT,
            SpeechError("gtts: no route to 10.0.0.7 or fd00:1:2::9;\nespeak-ng: open '/opt/x/en.dict' failed"),
            "us",
            "gtts: no route to … or …; espeak-ng: open '…' failed",
        ),
        (TEXT, SpeechError("x" * 999), "us", "x" * 300),
    ],
)
def test_a_call_without_audio_says_why_and_nothing_of_our_house(
    prompt: Prompt, error: SpeechError, fault: str, detail: str
) -> None:
    ending = without_audio(prompt, error, datetime.now(UTC))

    assert (ending.status.value, ending.cause, ending.fault, ending.detail) == ("failed", "speech", fault, detail)
    assert not ending.sent


@pytest.mark.parametrize(
    ("text", "ssml"),
    [
        ("Hello <b", True),
        ("<speak>Hello", True),
        ("<speak><audio src='x'/></speak>", True),
        ("🙂🙂", False),
        ("...!", False),
    ],
)
def test_a_text_that_nobody_can_speak_is_refused_before_anything_is_stored(text: str, ssml: bool) -> None:
    request = Request(to=("12025550100",), text=text, ssml=ssml)

    with pytest.raises(Invalid) as refused:
        judge(SENDER, request, Settings(), datetime.now(UTC), random.Random(1))

    assert [(e.pointer, e.code) for e in refused.value.errors] == [("#/text", "unspeakable")]
