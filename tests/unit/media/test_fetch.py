import asyncio
import os

import httpx2
import pytest

from media.fetch import MediaError, MediaFetcher
from tests.unit.media.certificates import issue
from tests.unit.media.sounds import babble, encoded
from tests.unit.media.web import cut, drip, hang, head, in_turn, reply, serving

SOUND = encoded(babble(1.0), "WAV")


async def fetched(answer, folder, *, max_bytes=100_000, deadline_s=5.0, path="/a.wav", headers=()):
    """(content, requests) of one fetch over plain HTTP; nothing but the file may lie in the folder."""
    async with serving(answer) as web, httpx2.AsyncClient(trust_env=False) as client:
        fetcher = MediaFetcher(client, max_bytes, deadline_s, http_allowed=True, pause_s=0.0)
        try:
            file = await fetcher.fetch(f"http://127.0.0.1:{web.port}{path}", folder)
        except MediaError:
            assert not os.listdir(folder)
            raise
    content = file.read_bytes()
    file.unlink()
    assert not os.listdir(folder)
    return content, web.asked


async def test_a_file_comes_as_it_is(tmp_path):
    content, asked = await fetched(reply(200, SOUND), tmp_path)

    assert content == SOUND
    assert asked[0].head.startswith("GET /a.wav HTTP/1.1")
    assert "accept-encoding: identity" in asked[0].head.lower()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(tmp_path, status):
    async with serving(reply(200, SOUND)) as elsewhere:
        answer = reply(status, b"", f"Location: http://127.0.0.1:{elsewhere.port}/")
        with pytest.raises(MediaError, match=f"answered {status}: redirects are not followed"):
            await fetched(answer, tmp_path)

    assert not elsewhere.asked


async def endless(writer, asked):
    writer.write(head(200))
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


FAULTS = {
    "404": (reply(404), "answered 404", 1),
    "500": (reply(500), "answered 500", 1),
    "204": (reply(204), "answered 204", 1),
    "too large, announced": (reply(200, b"x" * 100_001), "has 100001 bytes, more than 100000", 1),
    "too large, unannounced": (endless, "has more than 100000 bytes", 1),
    "empty": (reply(200), "empty file", 1),
    "web page": (reply(200, b"<html>", "Content-Type: text/html; charset=utf-8"), "web page", 1),
    "compressed": (reply(200, b"\x1f\x8b" * 20, "Content-Encoding: gzip"), "compressed", 1),
    "always cut": (cut, "cannot be reached", 3),
    "always 503": (reply(503), "answered 503", 3),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_is_wrong_is_said_and_nothing_is_left(tmp_path, fault):
    answer, words, tries = FAULTS[fault]
    asked = []

    async def counted(writer, request):
        asked.append(request)
        await answer(writer, request)

    with pytest.raises(MediaError, match=words):
        await fetched(counted, tmp_path)

    assert len(asked) == tries


async def test_a_passing_fault_is_tried_again(tmp_path):
    content, asked = await fetched(in_turn(reply(503), cut, reply(200, SOUND)), tmp_path)

    assert (content, len(asked)) == (SOUND, 3)


@pytest.mark.parametrize(
    "answer", [hang, drip(b""), drip(head(200, "Content-Length: 90000"))], ids=["hang", "drip", "drip in the body"]
)
async def test_one_deadline_holds_for_everything(tmp_path, answer):
    began = asyncio.get_running_loop().time()

    with pytest.raises(MediaError):
        await fetched(answer, tmp_path, deadline_s=0.3)

    assert asyncio.get_running_loop().time() - began < 2.0


async def test_nothing_is_left_when_the_caller_gives_up(tmp_path):
    started = asyncio.Event()

    async def slow(writer, asked):
        writer.write(head(200, "Content-Length: 90000") + b"x" * 1000)
        await writer.drain()
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(fetched(slow, tmp_path))
    await asyncio.wait_for(started.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.org/a.wav", "must begin with https://"),
        ("ftp://example.org/a.wav", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("/etc/passwd", "must begin with https://"),
        ("https:///a.wav", "must begin with https://|not a URL"),
        ("https://user:secret@example.org/a.wav", "user name or password"),
        ("https://user@example.org/a.wav", "user name or password"),
        ("https://exa mple.org:port/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://example.org:99999/", "port that cannot be"),
        ("https://example.org:0/", "port that cannot be"),
        ("\x00", "not a URL|must begin"),
        ("", "must begin with"),
    ],
)
async def test_an_address_that_is_none_is_refused_before_anything_is_sent(tmp_path, url, words):
    def never(request):
        raise AssertionError(f"asked for {request.url}")

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(never)) as client:
        with pytest.raises(MediaError, match=words) as caught:
            await MediaFetcher(client, 1000, 1.0).fetch(url, tmp_path)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["a" * 300, "a." * 200, ".", "a..b"])
async def test_a_name_that_no_host_can_have_is_an_error_in_words(tmp_path, host):
    async with httpx2.AsyncClient(trust_env=False) as client:
        with pytest.raises(MediaError):
            await MediaFetcher(client, 1000, 5.0, pause_s=0.0).fetch(f"https://{host}/a.wav", tmp_path)


async def test_a_certificate_that_does_not_verify_is_said_and_not_tried_again(tmp_path):
    async with serving(reply(200, SOUND), issue("localhost").server()) as web, httpx2.AsyncClient() as client:
        with pytest.raises(MediaError, match="certificate"):
            await MediaFetcher(client, 100_000, 5.0).fetch(f"https://localhost:{web.port}/", tmp_path)

    assert not web.asked


async def test_over_tls_with_a_good_certificate_it_comes(tmp_path):
    authority = issue("authority", authority=True)
    tls = authority.trusted()
    async with (
        serving(reply(200, SOUND), issue("server", authority).server()) as web,
        httpx2.AsyncClient(verify=tls) as client,
    ):
        file = await MediaFetcher(client, 100_000, 5.0).fetch(f"https://localhost:{web.port}/", tmp_path)

    assert file.read_bytes() == SOUND


async def test_what_the_transport_refuses_is_an_error_in_words_without_the_path(tmp_path):
    def guard(request):
        raise httpx2.UnsupportedProtocol("address is not public")

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(guard)) as client:
        with pytest.raises(MediaError, match=r"example\.org cannot be reached") as caught:
            await MediaFetcher(client, 1000, 1.0).fetch("https://example.org/a?token=canary", tmp_path)

    assert "canary" not in str(caught.value)
