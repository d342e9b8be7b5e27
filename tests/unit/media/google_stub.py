"""The speech service as gTTS knows it, on this machine: answers one line with MP3 in base64, over TLS."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import pytest

from media.speech import Sound
from tests.unit.media.certificates import Issued, issue
from tests.unit.media.sounds import babble, encoded
from tests.unit.media.web import Answer, Asked, Web, head, serving

AUTHORITY = issue("Test authority", authority=True)
TRUSTED = issue("Test service", AUTHORITY)


def asked_for(asked: Asked) -> list[object]:
    """[text, language, slow, …] of one request."""
    (call,) = json.loads(parse_qs(asked.body.decode())["f.req"][0])
    return json.loads(call[0][1])


def line_of(mp3: bytes) -> bytes:
    return b')]}\'\n\n[["wrb.fr","jQ1olc","[\\"' + base64.b64encode(mp3) + b'\\"]",null,null,null,"generic"]]\n'


def speaks(sound: Sound | None = None) -> Answer:
    """`sound`, or babble as long as the text would be."""

    async def answer(writer: asyncio.StreamWriter, asked: Asked) -> None:
        spoken = sound or babble(0.4 + 0.06 * len(str(asked_for(asked)[0])), 24_000)
        body = line_of(encoded(spoken, "MP3"))
        writer.write(head(200, f"Content-Length: {len(body)}") + body)

    return answer


@asynccontextmanager
async def google(
    monkeypatch: pytest.MonkeyPatch, answer: Answer | None = None, certificate: Issued = TRUSTED
) -> AsyncIterator[Web]:
    """Whatever gTTS sends goes there while this is open."""
    async with serving(answer or speaks(), certificate.server()) as web:
        address = f"https://localhost:{web.port}/"
        monkeypatch.setattr("gtts.tts._translate_url", lambda tld="com", path="": f"{address}{tld}/{path}")
        yield web
