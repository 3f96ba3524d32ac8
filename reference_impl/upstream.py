"""The upstream: one shared HTTP client; an upstream's trouble is told apart from our own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import NoReturn

import httpx
from httpx import TimeoutException

# For each read; an upstream that sends a byte now and then never exceeds it.
TIMEOUT = httpx.Timeout(5.0, connect=2.0)
TOTAL_TIMEOUT = 12.0
LARGEST = 16_000_000  # bytes
LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=20)


class UpstreamError(Exception):
    """The upstream gave no usable answer; `status` is what our own caller is told."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class ExternalData:
    """The JSON document behind one URL, fetched anew for each request."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url

    async def fetch(self) -> str:
        """Return the upstream's JSON text as it came, so that no number or string changes."""
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT):
                content = await self._read()
        except (TimeoutError, TimeoutException) as error:
            raise UpstreamError(504, "the upstream did not answer in time") from error
        except httpx.HTTPError as error:
            raise UpstreamError(502, "the upstream could not be read") from error
        return _json_text(content)

    async def _read(self) -> bytes:
        content = bytearray()
        async with self._client.stream("GET", self._url) as response:
            if not response.is_success:
                raise UpstreamError(502, f"the upstream answered {response.status_code}")
            async for part in response.aiter_bytes():
                content += part
                if len(content) > LARGEST:
                    raise UpstreamError(502, "the upstream's answer is too large")
        return bytes(content)


def _json_text(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
        json.loads(text, parse_constant=_reject)
    except (ValueError, RecursionError) as error:
        raise UpstreamError(502, "the upstream's answer is not JSON") from error
    return text


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


@asynccontextmanager
async def client(url: str) -> AsyncIterator[ExternalData]:
    """Hold one connection pool for every outbound call."""
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))  # they are one caller's
    async with httpx.AsyncClient(timeout=TIMEOUT, limits=LIMITS, cookies=no_cookies) as http:
        yield ExternalData(http, url)
