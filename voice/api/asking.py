"""From a typed request body to the Request that voice.sending judges."""

from messaging.accounts import Principal
from messaging.errors import FieldError, Invalid
from voice.api.parts import Api, is_test
from voice.api.schemas import Spoken
from voice.messages import Callback, CallbackFormat, Gather, SandboxScript, Script
from voice.sending import Request


class InvalidNumber(Invalid):
    """None of the numbers can be called."""

    code, title = "INVALID_NUMBER", "Invalid number"
    hint = "Send international numbers: 2348020000000, +2348020000000 or 002348020000000."


async def asked(
    api: Api, principal: Principal, body: Spoken, to: tuple[str, ...], source: str, warnings: tuple[str, ...] = ()
) -> Request:
    """Raises Invalid when the callback address may not be contacted."""
    return Request(
        to=to,
        text=body.text,
        media_url=body.media_url,
        language=body.language.lower(),
        voice=body.voice,
        speed=body.speed,
        ssml=body.ssml,
        from_number=body.from_,
        script=script_of(api, body),
        send_at=body.send_at,
        valid_until=body.valid_until,
        client_reference=body.client_reference,
        callback=await _callback(api, principal, body),
        callback_data=body.callback_data,
        trunk_id=body.trunk_id,
        source=source,
        warnings=warnings,
    )


def script_of(api: Api, body: Spoken) -> Script:
    lines = api.settings.lines
    gather, sandbox = body.gather, body.sandbox
    return Script(
        pause_ms=body.pause_ms,
        repeat=body.repeat,
        ring_timeout_s=body.ring_timeout or lines.ring_timeout_s,
        max_duration_s=body.max_duration or lines.max_duration_s,
        gather=Gather(gather.digits_max, gather.timeout_ms, gather.valid) if gather else None,
        record=body.record,
        sandbox=SandboxScript(sandbox.answer_after, sandbox.press, sandbox.hangup_after) if sandbox else None,
    )


async def _callback(api: Api, principal: Principal, body: Spoken) -> Callback | None:
    if body.callback_url is None:
        return None
    reason = await api.refuse_url(body.callback_url, is_test(principal))
    if reason is not None:
        detail = f"callback_url: {reason}"
        raise Invalid(detail, errors=(FieldError("#/callback_url", "refused", detail),))
    events = tuple(dict.fromkeys(body.callback_events))
    return Callback(body.callback_url, CallbackFormat(body.callback_format), events)


def about_numbers(error: Invalid, *, single: bool) -> Invalid:
    """The same complaints under INVALID_NUMBER when they are all about numbers; `#/to` when only one was sent."""
    if not error.errors or not all(e.pointer.startswith("#/to/") for e in error.errors):
        return error
    errors = error.errors
    if single:
        errors = tuple(FieldError("#/to", e.code, e.detail) for e in errors)
    return InvalidNumber(errors[0].detail, errors=errors)
