"""POST /v1/tts/preview: hear what a person would hear."""

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from media.prompt import Prompt
from media.speech import SpeechError
from messaging.errors import Invalid
from messaging.http import header_text, wants
from voice.api.asking import wrong_language
from voice.api.openapi import answers, as_bytes, takes
from voice.api.parts import ApiParts, MaySend
from voice.api.reading import read_body, typed
from voice.api.schemas import PreviewIn
from voice.sending import speech_failure

router = APIRouter(tags=["Media"])

WAV = "audio/wav"


@router.post(
    "/v1/tts/preview",
    operation_id="previewSpeech",
    summary="Render a text as a call would play it",
    responses=answers({200: ("WAV, mono, 8 kHz, as it goes to the line.", as_bytes(WAV))}, 415),
    openapi_extra=takes(PreviewIn, {"text": {"text": "Your code is 4821.", "language": "en-gb"}}),
)
async def preview(request: Request, api: ApiParts, principal: MaySend) -> Response:
    """The same chain of engines, the same cache, the same levelling. What could not be honoured: X-Warnings."""
    wants(request, WAV)
    body = await read_body(request)
    wanted, _ = typed(PreviewIn, body, unknown_ok=request.headers.get("x-lenient") == "1")
    wrong = wrong_language(api, wanted.language)
    if wrong:
        raise Invalid(wrong[0].detail, errors=tuple(wrong))
    prompt = Prompt(
        text=wanted.text, language=wanted.language.lower(), voice=wanted.voice, speed=wanted.speed, ssml=wanted.ssml
    )
    try:
        audio = await api.prompts.audio(prompt)
    except SpeechError as e:
        raise speech_failure(prompt, e) from e
    headers = {"X-Audio-Ms": str(audio.duration_ms)}
    if audio.warnings:
        headers["X-Warnings"] = header_text("; ".join(audio.warnings))
    return FileResponse(audio.path, media_type=WAV, headers=headers)
