"""MediaFetcher: downloads a caller's audio file within bounds of size and time.

It judges the address by its words only. Where the name leads (private networks, ports, rebinding) is judged by the
transport inside the client that is passed in. Redirects are not followed: each would be a new address to judge, and
the one who writes the request can write the final one.
"""

import asyncio
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import httpx2

from media.speech import SpeechError

TRIES = 3
PAUSE_S = 0.5  # before the second try, doubled before the third
_AGAIN = frozenset({502, 503, 504})
_PASSING = (httpx2.NetworkError, httpx2.TimeoutException, httpx2.RemoteProtocolError)


class MediaError(SpeechError):
    """The audio could not be fetched from its address."""

    of_request = True


class _Passing(MediaError):
    """Another try may help."""


def is_distrust(error: BaseException) -> bool:
    """Did this error of the HTTP client begin with a certificate that does not verify?"""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, ssl.SSLCertVerificationError):
        seen = seen.__cause__ or seen.__context__
    return seen is not None


def media_address(url: str, *, http_allowed: bool) -> httpx2.URL:
    """What can be told from the words alone. Raises MediaError."""
    schemes = ("https", "http") if http_allowed else ("https",)
    try:
        address = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError, ValueError) as error:
        raise MediaError("media_url is not a URL") from error
    if address.scheme not in schemes or not address.host:
        raise MediaError(f"media_url must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if address.port is not None and not 0 < address.port < 65_536:
        raise MediaError("media_url has a port that cannot be")
    if address.userinfo:
        raise MediaError("media_url must not hold a user name or password")
    return address


class MediaFetcher:
    def __init__(
        self,
        client: httpx2.AsyncClient,
        max_bytes: int,
        deadline_s: float,
        http_allowed: bool = False,
        *,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._client = client
        self._max_bytes = max_bytes
        self._deadline_s = deadline_s
        self._http_allowed = http_allowed
        self._pause_s = pause_s

    async def fetch(self, url: str, folder: Path) -> Path:
        """The path of a new file in `folder`; the caller removes it. Raises MediaError and leaves nothing behind."""
        address = media_address(url, http_allowed=self._http_allowed)
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._tried(address, folder)
        except TimeoutError:
            raise MediaError(f"{address.host} did not deliver the audio within {self._deadline_s:g} s") from None

    async def _tried(self, address: httpx2.URL, folder: Path) -> Path:
        for attempt in range(1, TRIES):
            try:
                return await self._download(address, folder)
            except _Passing:
                await asyncio.sleep(self._pause_s * 2 ** (attempt - 1))
        return await self._download(address, folder)

    async def _download(self, address: httpx2.URL, folder: Path) -> Path:
        headers = {"Accept": "audio/*, application/octet-stream;q=0.5", "Accept-Encoding": "identity"}
        try:
            async with self._client.stream(
                "GET", address, headers=headers, follow_redirects=False, timeout=self._deadline_s
            ) as response:
                self._refuse(address.host, response)
                return await self._written(response, folder)
        except httpx2.HTTPError as error:
            if is_distrust(error):
                raise MediaError(f"{address.host} has a certificate that is not to be trusted") from error
            kind = _Passing if isinstance(error, _PASSING) else MediaError
            raise kind(f"{address.host} cannot be reached ({type(error).__name__})") from error
        except (UnicodeError, OverflowError) as error:  # of the resolver, for names that no host can have
            raise MediaError("media_url names no host") from error

    def _refuse(self, host: str, response: httpx2.Response) -> None:
        status = response.status_code
        if status != 200:
            error = _Passing if status in _AGAIN else MediaError
            hint = ": redirects are not followed, give the final address" if 300 <= status < 400 else ""
            raise error(f"{host} answered {status}{hint}")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise MediaError(f"{host} sent the audio compressed once more, which was not asked for")
        if response.headers.get("content-type", "").lower().startswith("text/html"):
            raise MediaError(f"{host} answered with a web page, not with audio")
        announced = response.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_bytes:
            raise MediaError(f"the audio has {announced} bytes, more than {self._max_bytes}")

    async def _written(self, response: httpx2.Response, folder: Path) -> Path:
        with _new_file(folder) as file:
            async for chunk in response.aiter_bytes():
                if file.tell() + len(chunk) > self._max_bytes:
                    raise MediaError(f"the audio has more than {self._max_bytes} bytes")
                file.write(chunk)
            if not file.tell():
                raise MediaError(f"{response.url.host} sent an empty file")
            return Path(file.name)


@contextmanager
def _new_file(folder: Path) -> Iterator[IO[bytes]]:
    """Gone again when the block fails or is cancelled."""
    with NamedTemporaryFile(dir=folder, prefix="fetched-", delete=False) as file:
        try:
            yield file
        except BaseException:
            os.unlink(file.name)
            raise
