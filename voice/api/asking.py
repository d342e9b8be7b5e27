"""From a typed request body to the Request that voice.sending judges."""

from urllib.parse import urlsplit

from messaging.errors import FieldError, Invalid, catalogue
from messaging.numbers import NumberError
from messaging.strict_json import shown
from voice.api.parts import Api, Principal, is_test
from voice.api.schemas import Spoken
from voice.messages import Callback, CallbackFormat, Gather, SandboxScript, Script
from voice.sending import Request


def asked(
    api: Api, principal: Principal, body: Spoken, to: tuple[str, ...], source: str, warnings: tuple[str, ...] = ()
) -> Request:
    """Raises Invalid when no engine speaks the language, or an address may not be contacted."""
    wrong = [*_wrong_language(api, body), *_wrong_media(api, body), *_wrong_callback(api, principal, body)]
    if wrong:
        raise Invalid(wrong[0].detail, errors=tuple(wrong))
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
        callback=_callback(body),
        callback_data=body.callback_data,
        trunk_id=body.trunk_id,
        source=source,
        warnings=(*warnings, *_idle_callback(api, body)),
        dry_run=body.dry_run,
        campaign=None if body.lane is None else body.lane == "campaign",
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


def _callback(body: Spoken) -> Callback | None:
    if body.callback_url is None:
        return None
    return Callback(
        body.callback_url, CallbackFormat(body.callback_format), events=tuple(dict.fromkeys(body.callback_events))
    )


def _idle_callback(api: Api, body: Spoken) -> list[str]:
    """How to call back, without an address to call: nobody would notice before the callback did not come."""
    if body.callback_url is not None:
        return []
    there = "the account's own address has its own" if api.settings.account.callback_url else "the account has none"
    idle = [name for name in ("callback_format", "callback_events") if name in body.model_fields_set]
    return [f"{name} was ignored: it goes with callback_url, which is missing, and {there}" for name in idle]


def _wrong_language(api: Api, body: Spoken) -> list[FieldError]:
    return [] if body.text is None else wrong_language(api, body.language)


def wrong_language(api: Api, language: str) -> list[FieldError]:
    if api.speaks(language.lower()):
        return []
    return [FieldError("#/language", "unknown_language", f"language: no engine here speaks '{shown(language)}'")]


def _wrong_media(api: Api, body: Spoken) -> list[FieldError]:
    """What can be told without touching the network; whether it is reachable shows when it is fetched."""
    if body.media_url is None:
        return []
    reason = why_no_address(body.media_url) or api.refuse_media(body.media_url)
    return [] if reason is None else [FieldError("#/media_url", "refused", f"media_url: {_unnamed(reason)}")]


def _unnamed(reason: str) -> str:
    return reason.removeprefix("media_url ")


def _wrong_callback(api: Api, principal: Principal, body: Spoken) -> list[FieldError]:
    if body.callback_url is None:
        return []
    reason = why_no_address(body.callback_url) or api.refuse_url(body.callback_url, is_test(principal))
    return [] if reason is None else [FieldError("#/callback_url", "refused", f"callback_url: {reason}")]


def why_no_address(url: str) -> str | None:
    """Why this cannot be the address of anything on the web, or None. Pure."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "that is not a web address"
    if parts.scheme not in ("http", "https") or not host:
        return "should begin with https:// and name a host"
    if "@" in parts.netloc:
        return "a user name or password does not belong in an address"
    if not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        return "should be plain ASCII without blanks: percent-encode the rest"
    return None


def about_numbers(error: Invalid, *, single: bool) -> Invalid:
    """The same complaints as a NumberError when all are about numbers, of their class when they have one in common.

    `#/to` when only one number was sent.
    """
    if not error.errors or not all(e.pointer.startswith("#/to/") for e in error.errors):
        return error
    errors = error.errors
    if single:
        errors = tuple(FieldError("#/to", e.code, e.detail.replace("to[0]", "to", 1)) for e in errors)
    codes = {e.code.upper() for e in errors}
    kind = catalogue().get(codes.pop(), NumberError) if len(codes) == 1 else NumberError
    return (kind if issubclass(kind, NumberError) else NumberError)(
        errors[0].detail, errors=errors, retry_after_s=error.retry_after_s
    )
