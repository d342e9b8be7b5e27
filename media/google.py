"""GoogleEngine: the speech service of Google Translate through gTTS, with the guards that gTTS leaves out.

gTTS writes the requests (`_prepare_requests`); we send them, because its own `stream()` switches the certificate check
off, waits for ever, and takes a page without audio for success. The service is unofficial, and a third party that
reads every text: it may be left out of the settings' list of engines. HTTPS_PROXY is honoured.
"""

import asyncio
import base64
import binascii
import logging
import re
import ssl
import time
from collections import deque
from collections.abc import Callable

import httpx2
from gtts import gTTS
from gtts.lang import tts_langs

from media.audio import AudioError, Limits, decode_parts
from media.fetch import is_distrust
from media.speech import EngineDown, Sound, SpeechError, Unspeakable, Utterance, refuse_unheard, speakable

REPLY_MOST_BYTES = 2 * 1024 * 1024  # for 100 characters; a normal reply has 60 kB
REQUESTS_PER_MINUTE = 90  # beyond about 100 the service answers 429 and then refuses the address for an hour
BUDGET_REST_S = 10.0  # the budget comes back little by little, within a minute
SLOW_FROM = 0.75  # gTTS knows two speeds

# Accents come from the national host; a region that is not here is spoken as the language's first.
_HOSTS = {
    "en-gb": "co.uk",
    "en-au": "com.au",
    "en-ca": "ca",
    "en-in": "co.in",
    "en-ie": "ie",
    "en-za": "co.za",
    "en-ng": "com.ng",
    "es-mx": "com.mx",
    "es-es": "es",
    "fr-ca": "ca",
    "fr-fr": "fr",
    "pt-br": "com.br",
    "pt-pt": "pt",
}
_ALIASES = {"he": "iw", "nb": "no", "nn": "no", "fil": "tl", "jv": "jw", "zh-hans": "zh-cn", "zh-hant": "zh-tw"}
_LANGUAGES: dict[str, str] = {tag.casefold(): tag for tag in tts_langs()}
_AUDIO = re.compile(r'jQ1olc","\[\\"(.*)\\"]')


class GoogleEngine:
    """One voice for each of its 69 languages; two speeds."""

    def __init__(
        self,
        *,
        deadline_s: float = 10.0,
        tls: ssl.SSLContext | None = None,
        requests_per_minute: int = REQUESTS_PER_MINUTE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tls`: which authorities to believe, by default the system's; there is no way to believe everybody."""
        self._deadline_s = deadline_s
        self._tls = tls or httpx2.create_ssl_context()
        self._budget = _Budget(requests_per_minute, monotonic)
        # It logs every text it is given.
        logging.getLogger("gtts").setLevel(logging.WARNING)

    @property
    def name(self) -> str:
        return "gtts"

    def speaks(self, language: str) -> bool:
        return _language(language) is not None

    def ignored(self, utterance: Utterance) -> tuple[str, ...]:
        found = []
        if utterance.voice is not None:
            found.append(f"voice {utterance.voice!r} not used: gtts has one voice for each language")
        if utterance.speed != 1.0 and utterance.speed > SLOW_FROM:
            found.append(f"speed {utterance.speed:g} not used: gtts has normal speed, and slow up to {SLOW_FROM}")
        return tuple(found)

    async def speak(self, utterance: Utterance) -> Sound:
        language = _language(utterance.language)
        if language is None:
            raise SpeechError(f"gtts does not speak {utterance.language!r}")
        text = speakable(utterance.text)
        try:
            async with asyncio.timeout(self._deadline_s):
                mp3s = await self._fetched(_requests(text, language, utterance))
                sound = await decode_parts(mp3s, Limits(rate_most_hz=24_000))
        except TimeoutError:
            raise EngineDown(f"no audio from the service within {self._deadline_s:g} s") from None
        except AudioError as error:
            raise EngineDown(f"the service gave no usable audio: {error}") from error
        return refuse_unheard(text, sound)

    async def _fetched(self, requests: list["_Request"]) -> list[bytes]:
        """The MP3 of each part, or an error: half a message is none."""
        self._budget.take(len(requests))
        async with httpx2.AsyncClient(verify=self._tls, timeout=self._deadline_s, follow_redirects=False) as client:
            return [_audio(await _reply(client, request)) for request in requests]


class _Request:
    """What gTTS prepared, without the `requests` package around it."""

    def __init__(self, prepared: object) -> None:
        self.url = str(getattr(prepared, "url", ""))
        self.body = str(getattr(prepared, "body", "")).encode()
        self.headers = {"Content-Type": gTTS.GOOGLE_TTS_HEADERS["Content-Type"]}


class _Budget:
    """At most so many requests in any minute."""

    def __init__(self, most: int, monotonic: Callable[[], float]) -> None:
        self._most = most
        self._monotonic = monotonic
        self._taken: deque[float] = deque()

    def take(self, count: int) -> None:
        now = self._monotonic()
        while self._taken and self._taken[0] <= now - 60.0:
            self._taken.popleft()
        if len(self._taken) + count > self._most:
            raise EngineDown(f"its budget of {self._most} requests a minute is used up", rest_s=BUDGET_REST_S)
        self._taken.extend([now] * count)


def _language(tag: str) -> str | None:
    """gTTS' word for a BCP 47 tag: itself, else the language without its region."""
    tag = tag.casefold()
    base = tag.split("-")[0]
    names = (tag, _ALIASES.get(tag, tag), base, _ALIASES.get(base, base))
    return next((_LANGUAGES[name] for name in names if name in _LANGUAGES), None)


def _requests(text: str, language: str, utterance: Utterance) -> list[_Request]:
    tts = gTTS(
        text,
        lang=language,
        tld=_HOSTS.get(utterance.language.casefold(), "com"),
        slow=utterance.speed <= SLOW_FROM,
        lang_check=False,  # done above
        tokenizer_func=parts,
    )
    try:
        return [_Request(prepared) for prepared in tts._prepare_requests()]  # noqa: SLF001 - pinned version; a test asserts it
    except AssertionError as error:  # its way to say that nothing is left after cleaning
        raise Unspeakable("there is nothing to speak") from error


# Where a text may be cut, best first: after a sentence, after a clause, between words.
_CUTS = (re.compile(r"[.!?…。！？]['\"”’)]*\s|[。！？]"), re.compile(r"[,;:–—、，；：]\s?"), re.compile(r"\s"))


def parts(text: str, most: int = gTTS.GOOGLE_TTS_MAX_CHARS) -> list[str]:
    """As few parts of at most `most` characters as good cuts allow; gTTS' own tokenizer asks once per sentence."""
    text = " ".join(text.split())
    found = []
    while len(text) > most:
        cut = _cut(text[: most + 1], most)
        found.append(text[:cut].strip())
        text = text[cut:].strip()
    return [part for part in [*found, text] if part]


def _cut(window: str, most: int) -> int:
    for pattern in _CUTS:
        ends = [match.end() for match in pattern.finditer(window) if match.end() > most // 3]
        if ends:
            return min(ends[-1], most)
    return most


async def _reply(client: httpx2.AsyncClient, request: _Request) -> str:
    try:
        headers = {**gTTS.GOOGLE_TTS_HEADERS, **request.headers}
        async with client.stream("POST", request.url, content=request.body, headers=headers) as response:
            _refuse_status(response)
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > REPLY_MOST_BYTES:
                    raise EngineDown("the service answered with far too much")
            return body.decode(errors="replace")
    except httpx2.HTTPError as error:
        if is_distrust(error):
            raise EngineDown("the service's certificate is not to be trusted") from error
        raise EngineDown(f"the service cannot be reached ({type(error).__name__})", again=True) from error


def _refuse_status(response: httpx2.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    if status == 429:
        asked = response.headers.get("retry-after", "")
        raise EngineDown(
            "the service says that we ask too often (429)", rest_s=float(asked) if asked.isdigit() else None
        )
    raise EngineDown(f"the service answered {status}", again=status >= 500)


def _audio(reply: str) -> bytes:
    """The MP3 in the line of the reply that carries our call's id, as gTTS reads it."""
    line = next((line for line in reply.splitlines() if gTTS.GOOGLE_TTS_RPC in line), None)
    if line is None:
        raise EngineDown("the service answered with a page without audio (it may ask for a captcha)")
    found = _AUDIO.search(line)
    if found is None:
        raise SpeechError("the service has no audio for this text")
    try:
        mp3 = base64.b64decode(found.group(1), validate=True)
    except (binascii.Error, ValueError) as error:
        raise EngineDown("the service gave damaged audio") from error
    if not mp3:
        raise EngineDown("the service gave no audio")
    return mp3
