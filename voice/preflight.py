"""What is looked at before anything starts: whatever can be known to be wrong now must not surface at 3 a.m."""

import asyncio
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import structlog
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from config.settings import SettingsError
from messaging.store import connect, is_unsure
from voice.explain import Exit

log = structlog.get_logger(__name__)

STORE_WITHIN_S = 15.0  # a server that is being restarted is back by then
ASK_EVERY_S = 0.25


class CannotStart(Exception):
    """A process cannot do its work; the text says why and what to do, `exit_code` is what the process leaves with."""

    def __init__(self, why: str, exit_code: int = Exit.UNEXPECTED) -> None:
        super().__init__(why)
        self.exit_code = exit_code


NO_PJSIP = "PJSIP is not installed here: there is a wheel for Python 3.11 and 3.12 on Linux x86_64."


def has_pjsip() -> bool:
    """Whether it is there; whether it loads is found out by a process that may crash of it."""
    return importlib.util.find_spec("pjsua2") is not None


@contextmanager
def naming(setting: str) -> Iterator[None]:
    """Whatever is refused inside was refused because of this setting."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(f"{setting}: {error}") from None


async def store_answers(url: str, within_s: float = STORE_WITHIN_S) -> None:
    """Returns when the server at `url` takes commands. Raises CannotStart when it does not in time."""
    redis, told = connect(url), False
    deadline = asyncio.get_running_loop().time() + within_s
    try:
        while True:
            why = await _objection(redis.ping())
            if why is None:
                return
            if asyncio.get_running_loop().time() >= deadline:
                raise CannotStart(
                    f"the store at {place(url)} does not answer ({why}). Is TOCSIN_REDIS_URL right, and does it run?",
                    Exit.UNREACHABLE,
                )
            if not told:
                told = True
                log.warning("store does not answer yet", at=place(url), why=why, waiting_s=within_s)
            await asyncio.sleep(ASK_EVERY_S)
    finally:
        await redis.aclose()


async def _objection(asking: object) -> str | None:
    """None when it answered. Raises CannotStart when it never will: a wrong password is not an outage."""
    try:
        await asking  # type: ignore[misc] # redis-py says "awaitable or not", for both of its faces
    except AuthenticationError as error:
        raise CannotStart(f"the store refuses our login: {error}. Look at TOCSIN_REDIS_URL.", Exit.CONFIG) from None
    except (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError) as error:
        return str(error) or type(error).__name__
    except ResponseError as error:
        if not is_unsure(error):
            raise CannotStart(f"the store refuses to work for us: {error}", Exit.CONFIG) from None
        return str(error)
    return None


def place(url: str) -> str:
    """The URL without what is secret in it."""
    parts = urlsplit(url)
    if not parts.hostname:
        return f"{parts.scheme}://{parts.path}"
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "") + parts.path
