"""The upstream: one GET of one URL, limited as a whole in time and in size."""

from __future__ import annotations

import asyncio
import zlib
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlsplit

import httpx

from .failures import UpstreamAnswerInvalid, UpstreamTooSlow, UpstreamUnreachable
from .settings import UpstreamSettings
from .strictjson import document_text

HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": "service/1.0",
}
GZIP_WINDOW = 16 + zlib.MAX_WBITS
PARTIAL_CONTENT = 206


class Upstream:
    """Fetches the document afresh for each caller, through one shared pool of connections."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self._settings = settings
        self._target = _request_target(settings.url)
        self._client = _make_client(settings)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def fetch(self) -> str:
        """Return the upstream's document as it was sent, as JSON text."""
        try:
            async with asyncio.timeout(self._settings.total_seconds):
                body = await self._get()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise UpstreamTooSlow from error
        except httpx.DecodingError as error:
            raise UpstreamAnswerInvalid from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise UpstreamUnreachable from error
        try:
            return document_text(body)
        except ValueError as error:
            raise UpstreamAnswerInvalid from error

    async def _get(self) -> bytes:
        extensions = {"target": self._target}
        request = self._client.build_request("GET", self._settings.url, extensions=extensions)
        request.extensions |= extensions
        response = await self._client.send(request, stream=True)
        try:
            if not response.is_success or response.status_code == PARTIAL_CONTENT:
                raise UpstreamAnswerInvalid
            return _decoded(response, await self._read(response), self._settings.max_body_bytes)
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._settings.max_body_bytes:
                raise UpstreamAnswerInvalid
        return bytes(body)


def _make_client(settings: UpstreamSettings) -> httpx.AsyncClient:
    """Make a client that keeps no cookie, follows no redirect and needs no other variables."""
    return httpx.AsyncClient(
        headers=HEADERS,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=httpx.Timeout(settings.silence_seconds, connect=settings.connect_seconds),
        limits=httpx.Limits(
            max_connections=settings.max_connections,
            max_keepalive_connections=settings.max_idle_connections,
            keepalive_expiry=5.0,
        ),
        follow_redirects=False,
        trust_env=False,
    )


def _request_target(url: str) -> bytes:
    """Return path and query as they were configured, which a client might write otherwise."""
    parsed = urlsplit(url)
    path_and_query = url.partition("#")[0].partition("://")[2].removeprefix(parsed.netloc)
    if not path_and_query.startswith("/"):
        path_and_query = "/" + path_and_query
    try:
        return path_and_query.encode("ascii")
    except UnicodeEncodeError:
        return httpx.URL(url).raw_path


def _decoded(response: httpx.Response, body: bytes, limit: int) -> bytes:
    """Undo the content coding. Only gzip was asked for."""
    match response.headers.get("Content-Encoding", "").strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _gunzip(body, limit)
    raise UpstreamAnswerInvalid


def _gunzip(body: bytes, limit: int) -> bytes:
    """Unpack all members of a gzip file, each of which must be complete."""
    unpacked = bytearray()
    while body or not unpacked:
        member = zlib.decompressobj(GZIP_WINDOW)
        try:
            unpacked += member.decompress(body, limit + 1 - len(unpacked))
        except zlib.error as error:
            raise UpstreamAnswerInvalid from error
        if not member.eof or len(unpacked) > limit:
            raise UpstreamAnswerInvalid
        body = member.unused_data
        if not body:
            break
    return bytes(unpacked)
