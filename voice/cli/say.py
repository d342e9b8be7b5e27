"""`tocsin say`: a text as a phone would hear it, without a phone and without a service."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path

from config.settings import Settings, load
from media.library import Audio
from media.prompt import Prompt
from media.reading import TextError
from media.speech import SpeechError, Unspeakable
from media.ssml import SsmlError
from voice.cli.progress import Progress
from voice.compose import prompt_library, speech_engines
from voice.explain import Exit

# What is wrong with the words themselves: no other try would help.
WORDS_TO_BLAME = (SsmlError, TextError, Unspeakable)


def run_say(
    text: str, output: str, *, language: str, voice: str | None, speed: float, ssml: bool, as_json: bool
) -> int:
    """`output` "-": the WAV goes to stdout, and what is said about it to stderr."""
    if output == "-" and sys.stdout.isatty():
        print("tocsin: a terminal cannot play sound: send it on, as in  tocsin say Hello -o - | aplay", file=sys.stderr)
        return Exit.USAGE
    prompt = Prompt(text=text, language=language, voice=voice, speed=speed, ssml=ssml)
    with contextlib.ExitStack() as stack:
        try:
            audio, sound = asyncio.run(_rendered(_settings(stack), prompt))
        except SpeechError as error:
            print(f"tocsin: {error}", file=sys.stderr)
            return Exit.USAGE if isinstance(error, WORDS_TO_BLAME) else Exit.UNEXPECTED
    talk = sys.stdout
    if output == "-":
        talk = sys.stderr
        sys.stdout.buffer.write(sound)
        sys.stdout.buffer.flush()
    else:
        Path(output).write_bytes(sound)
    seconds = audio.duration_ms / 1000
    if as_json:
        told = {"file": output, "seconds": seconds, "engine": audio.engine, "warnings": list(audio.warnings)}
        print(json.dumps(told), file=talk)
        return Exit.OK
    for warning in audio.warnings:
        print(f"tocsin: warning: {warning}", file=sys.stderr)
    print(f"{output}: {seconds:.1f} s, {audio.engine}", file=talk)
    return Exit.OK


async def _rendered(settings: Settings, prompt: Prompt) -> tuple[Audio, bytes]:
    engines = speech_engines(settings)
    if not any(engine.speaks("en") for engine in engines):  # each of them does where it is installed
        raise SpeechError(f"none of {', '.join(settings.speech.engines)} is installed here; ask: tocsin doctor")
    library = prompt_library(settings, engines)
    try:
        async with Progress("rendering"):
            audio = await library.audio(prompt)
            return audio, await asyncio.to_thread(audio.path.read_bytes)
    finally:
        await library.aclose()


def _settings(stack: contextlib.ExitStack) -> Settings:
    """With no data directory named, rendered audio is kept where other programs keep what can be made again: nobody
    who wants a WAV expects a folder beside it.
    """
    settings = load(os.environ)
    if "data_dir" in settings.model_fields_set:
        return settings
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tocsin"
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except (OSError, RuntimeError):  # a home that is not there, not ours, or of a user nobody knows
        cache = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-say-")))
    return settings.model_copy(update={"data_dir": cache})
