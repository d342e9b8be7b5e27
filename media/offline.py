"""The engines that need no network: espeak-ng (from its wheel, 100 languages) and flite (a Debian program, English)."""

import asyncio
import io
import json
import shutil
import sys
import unicodedata
import wave
from pathlib import Path

import espeakng_loader

from media.audio import from_pcm16
from media.bounded import Bounds, ChildError, content_of, memory_file, run
from media.speech import EngineDown, Sound, SpeechError, Unspeakable, Utterance, refuse_unheard, speakable

SPEED = (0.5, 2.0)
_MB = 1024 * 1024
# Ten minutes at 22,050 Hz, PCM16.
_OUTPUT_BYTES = 600 * 22_050 * 2


def _within(speed: float) -> float:
    return min(max(speed, SPEED[0]), SPEED[1])


class EspeakEngine:
    """espeak-ng through its wheel, each render in a child process of its own."""

    WORDS_PER_MINUTE = 165  # at speed 1.0; its own 175 is brisk for a telephone
    _BOUNDS = Bounds(wall_s=10.0, cpu_s=10, memory_bytes=256 * _MB, output_bytes=_OUTPUT_BYTES)

    def __init__(self, library: Path | None = None, data: Path | None = None) -> None:
        self._library = library or Path(espeakng_loader.get_library_path())
        self._data = data or Path(espeakng_loader.get_data_path())
        self._languages = _espeak_languages(self._data / "lang") if self._library.exists() else {}
        self._voices = {name.casefold(): name for name in _names(self._data / "voices" / "!v")}

    @property
    def name(self) -> str:
        return "espeak-ng"

    @property
    def voices(self) -> tuple[str, ...]:
        """Variants of any language: f1 to f5, m1 to m8 and others."""
        return tuple(sorted(self._voices.values()))

    def speaks(self, language: str) -> bool:
        return self._language(language) is not None

    def ignored(self, utterance: Utterance) -> tuple[str, ...]:
        voice = utterance.voice
        if voice is None or voice.casefold() in self._voices:
            return ()
        return (f"voice {voice!r} not used: espeak-ng has no such voice",)

    async def speak(self, utterance: Utterance) -> Sound:
        language = self._language(utterance.language)
        if language is None:
            raise SpeechError(f"espeak-ng does not speak {utterance.language!r}")
        variant = self._voices.get((utterance.voice or "").casefold())
        asked = {
            "voice": f"{language}+{variant}" if variant else language,
            "words_per_minute": round(self.WORDS_PER_MINUTE * _within(utterance.speed)),
            "text": speakable(utterance.text),
        }
        program = [sys.executable, "-I", "-S", str(Path(__file__).with_name("espeak.py"))]
        try:
            done = await run([*program, str(self._library), str(self._data)], json.dumps(asked).encode(), self._BOUNDS)
        except ChildError as error:
            raise EngineDown(f"espeak-ng {error}") from error
        if done.status:
            raise SpeechError(done.words if done.status > 0 else f"espeak-ng ended with signal {-done.status}")
        head, _, pcm = done.output.partition(b"\n")
        sound = Sound(from_pcm16(pcm), int(json.loads(head)["rate_hz"]))
        return refuse_unheard(utterance.text, sound)

    def _language(self, tag: str) -> str | None:
        """The voice file for a BCP 47 tag: the tag itself, else the language without its region."""
        tag = _ALIASES.get(tag.casefold(), tag.casefold())
        return self._languages.get(tag) or self._languages.get(_ALIASES.get(tag.split("-")[0], tag.split("-")[0]))


_ALIASES = {"zh-cn": "cmn", "zh-hans": "cmn", "zh-tw": "cmn", "zh-hk": "yue", "no": "nb", "iw": "he", "jw": "jv"}


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir() if entry.name.isalnum()] if folder.is_dir() else []


def _espeak_languages(folder: Path) -> dict[str, str]:
    """Language tag to voice file, from the `language TAG [PRIORITY]` lines; the lowest number is the best voice."""
    best: dict[str, tuple[int, str]] = {}
    for file in sorted(folder.glob("*/*")):
        for line in file.read_text(errors="replace").splitlines():
            word, *rest = line.split()[:3] or [""]
            if word == "language" and rest:
                priority = int(rest[1]) if rest[1:] and rest[1].isdigit() else 5  # 5: espeak-ng's own default
                candidate = (priority, f"{file.parent.name}/{file.name}")
                tag = rest[0].casefold()
                best[tag] = min(best.get(tag, candidate), candidate)
    return {tag: file for tag, (_, file) in best.items()}


class FliteEngine:
    """flite, when the Debian program is installed; English only. Text goes in by stdin, never as an option."""

    DEFAULT = "rms"  # of its voices the one a recogniser understood best
    # awb_time only knows how to tell the time.
    _UNFIT = frozenset({"awb_time"})
    _BOUNDS = Bounds(wall_s=10.0, cpu_s=10, memory_bytes=256 * _MB, output_bytes=_OUTPUT_BYTES)

    def __init__(self, program: str | None = None) -> None:
        """`program`: its path; by default what PATH has. Without it, it speaks nothing."""
        self._program = program or shutil.which("flite")
        self._voices: tuple[str, ...] | None = None
        self._asking = asyncio.Lock()

    @property
    def name(self) -> str:
        return "flite"

    @property
    def installed(self) -> bool:
        return self._program is not None

    def speaks(self, language: str) -> bool:
        return self.installed and language.casefold().split("-")[0] == "en"

    def ignored(self, utterance: Utterance) -> tuple[str, ...]:
        voice = utterance.voice
        if voice is None or self._voices is None or voice in self._voices:
            return ()
        return (f"voice {voice!r} not used: flite has no such voice",)

    async def speak(self, utterance: Utterance) -> Sound:
        if self._program is None or not self.speaks(utterance.language):
            raise SpeechError(f"flite does not speak {utterance.language!r}")
        text = _latin(speakable(utterance.text))
        voices = await self._known(self._program)
        wanted = (utterance.voice, self.DEFAULT)
        voice = next((name for name in wanted if name in voices), voices[0])
        stretch = 1 / _within(utterance.speed)
        with memory_file() as audio:
            # It seeks back to write its header, so a pipe would not do.
            options = ["-voice", voice, "--setf", f"duration_stretch={stretch:.3f}", "-o", f"/proc/self/fd/{audio}"]
            await self._run([self._program, *options], text.encode("ascii"), audio)
            sound = _wav(content_of(audio, _OUTPUT_BYTES))
        return refuse_unheard(utterance.text, sound)

    async def _known(self, program: str) -> tuple[str, ...]:
        """Its voices: asked once, because an unknown one is replaced by a worse one without a word."""
        async with self._asking:
            if self._voices is None:
                _, _, names = (await self._run([program, "-lv"], b"")).partition(":")
                self._voices = tuple(name for name in names.split() if name not in self._UNFIT)
                if not self._voices:
                    raise EngineDown("flite has no voices")
            return self._voices

    async def _run(self, argv: list[str], given: bytes, *open_files: int) -> str:
        try:
            done = await run(argv, given, self._BOUNDS, open_files=open_files)
        except ChildError as error:
            raise EngineDown(f"flite {error}") from error
        if done.status:
            raise SpeechError(f"flite ended with status {done.status}")
        return done.output.decode(errors="replace")


_FOLDED = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "œ": "oe"})
_QUOTES = str.maketrans("‘’‚“”„–—…", "'''\"\"\"--.")


def _latin(text: str) -> str:
    """ASCII, accents dropped. Raises Unspeakable where a letter would be lost: half a sentence is worse than none."""
    folded = unicodedata.normalize("NFKD", text.translate(_QUOTES).translate(_FOLDED))
    if any(ord(character) > 127 and character.isalnum() for character in folded):
        raise Unspeakable("flite reads only Latin letters")
    return folded.encode("ascii", "ignore").decode()


def _wav(content: bytes) -> Sound:
    try:
        with wave.open(io.BytesIO(content)) as file:
            pcm = file.readframes(file.getnframes())
            return Sound(from_pcm16(pcm), file.getframerate())
    except (wave.Error, EOFError, ValueError) as error:
        raise SpeechError("flite gave no audio") from error
