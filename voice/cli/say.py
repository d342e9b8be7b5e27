"""`tocsin say` and `magic`: what needs no running service."""

import asyncio
import json
import os
import shutil
import sys

from config.settings import load


def run_say(
    text: str, output: str, *, language: str, voice: str | None, speed: float, ssml: bool, as_json: bool
) -> int:
    from media.prompt import Prompt
    from media.speech import SpeechError
    from voice.compose import prompt_library

    settings = load(os.environ)

    async def render() -> int:
        library = prompt_library(settings)
        try:
            audio = await library.audio(Prompt(text=text, language=language, voice=voice, speed=speed, ssml=ssml))
        except SpeechError as error:
            print(f"tocsin: {error}", file=sys.stderr)
            return 1
        finally:
            await library.aclose()
        shutil.copyfile(audio.path, output)
        if as_json:
            print(
                json.dumps(
                    {"file": output, "seconds": audio.duration_ms / 1000, "engine": audio.engine}
                    | {"warnings": list(audio.warnings)}
                )
            )
        else:
            print(f"{output}: {audio.duration_ms / 1000:.1f} s, {audio.engine}")
        return 0

    return asyncio.run(render())


def run_magic(*, as_json: bool) -> int:
    from sip.sandbox.scripts import MAGIC

    if as_json:
        print(json.dumps([{"number": number, "title": script.title} for number, script in MAGIC.items()]))
        return 0
    for number, script in MAGIC.items():
        print(f"+{number}  {script.title}")
    print("every other number: answers and listens to the end")
    return 0
