"""Section 4 got wrong: the upstream's document, the calls that fetch it, and what a failed call leaves behind."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import asyncio
import http.client
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from fastapi import Request
from fastapi.responses import Response

from conformance.selftest.miniatures.service import Service, miniature


@miniature
class user_id_is_renamed(Service):
    """The member `userId` is answered in snake case, as a response model declares it."""

    def document(self, response: httpx.Response) -> str:
        return json.dumps(json.loads(super().document(response), object_hook=self.renamed))

    def renamed(self, found: dict[str, Any]) -> dict[str, Any]:
        return {"user_id" if name == "userId" else name: value for name, value in found.items()}


@miniature
class document_integers_pass_through_floats(Service):
    """Integers of the document pass through floats, which round what is beyond 2^53."""

    def document(self, response: httpx.Response) -> str:
        return json.dumps(json.loads(super().document(response), parse_int=lambda digits: int(float(digits))))


@miniature
class falsy_document_becomes_an_object(Service):
    """A document that is null, zero, false or empty is answered as an empty object."""

    def document(self, response: httpx.Response) -> str:
        return json.dumps(json.loads(super().document(response)) or {})


@miniature
class compressed_document_is_not_opened(Service):
    """The body is read as it came over the wire, so that a compressed one is no JSON."""

    async def fetch(self, url: str) -> httpx.Response:
        async with self.upstream.stream("GET", url) as response:
            content = b"".join([chunk async for chunk in response.aiter_raw()])
        return httpx.Response(response.status_code, content=content)


@miniature
class document_is_fetched_at_startup(Service):
    """Startup fetches the document once, to see that the upstream is there."""

    async def connect(self) -> None:
        await super().connect()
        with suppress(httpx.HTTPError):
            await self.fetch(os.environ["EXTERNAL_DATA_URL"])


@miniature
class repeated_parameter_of_the_url_is_lost(Service):
    """The URL's query passes through a dictionary, which keeps one value of a name."""

    async def fetch(self, url: str) -> httpx.Response:
        place, _, query = url.partition("?")
        return await self.upstream.get(place, params=dict(parse_qsl(query)))


@miniature
class upstream_404_is_final(Service):
    """Once the upstream has answered 404, every later call is answered so without being made."""

    missing: httpx.Response | None = None

    async def fetch(self, url: str) -> httpx.Response:
        response = self.missing or await super().fetch(url)
        if response.status_code == httpx.codes.NOT_FOUND:
            self.missing = response
        return response


@miniature
class broken_gzip_fails_the_next_call_too(Service):
    """The error of a body that could not be decompressed is kept, and raised again by the next call."""

    kept: httpx.DecodingError | None = None

    async def fetch(self, url: str) -> httpx.Response:
        kept, self.kept = self.kept, None
        if kept:
            raise kept
        try:
            return await super().fetch(url)
        except httpx.DecodingError as error:
            self.kept = error
            raise


@miniature
class failed_call_is_retried(Service):
    """A call that the upstream fails is made again, twice."""

    async def fetch(self, url: str) -> httpx.Response:
        response = await super().fetch(url)
        for _ in range(2):
            if response.status_code >= 500:
                response = await super().fetch(url)
        return response


@miniature
class refused_connection_is_500(Service):
    """Only what goes wrong on a connection to the upstream is told from an error of the service's own."""

    async def fetch(self, url: str) -> httpx.Response:
        try:
            return await super().fetch(url)
        except httpx.ConnectError as error:
            raise ConnectionError("the upstream could not be reached") from error


@miniature
class only_the_connection_has_a_timeout(Service):
    """The client's timeout is that of connecting alone; the answer is waited for without end."""

    async def fetch(self, url: str) -> httpx.Response:
        return await self.upstream.get(url, timeout=httpx.Timeout(None, connect=2))


@miniature
class upstreams_4xx_is_relayed_as_success(Service):
    """Only statuses of 500 and more are taken for the upstream's errors."""

    def document(self, response: httpx.Response) -> str:
        if response.is_client_error:
            response = httpx.Response(200, content=response.content)
        return super().document(response)


@miniature
class no_content_is_null(Service):
    """An upstream's 204 is answered as the document null."""

    def document(self, response: httpx.Response) -> str:
        return "null" if response.status_code == httpx.codes.NO_CONTENT else super().document(response)


@miniature
class idle_connection_is_used_without_a_look(Service):
    """Connections are kept and used again without a look, until a call finds one closed; then each call opens its own."""

    keeps = True

    async def connect(self) -> None:
        await super().connect()
        self.callers = ThreadPoolExecutor(100)
        self.idle: list[http.client.HTTPConnection] = []

    async def disconnect(self) -> None:
        await super().disconnect()
        self.callers.shutdown(wait=False)

    async def fetch(self, url: str) -> httpx.Response:
        try:
            return await asyncio.get_running_loop().run_in_executor(self.callers, self.call, url)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer") from error
        except (OSError, http.client.HTTPException) as error:
            raise httpx.NetworkError("no connection") from error

    def call(self, url: str) -> httpx.Response:
        place = urlsplit(url)
        kept = self.idle.pop() if self.keeps and self.idle else None
        connection = kept or http.client.HTTPConnection(place.netloc, timeout=5)
        try:
            connection.request("GET", f"{place.path}?{place.query}")
            answer = connection.getresponse()
        except OSError:
            self.keeps = self.keeps and kept is None
            raise
        content = answer.read()
        if not answer.will_close:
            self.idle.append(connection)
        return httpx.Response(answer.status, headers=answer.getheaders(), content=content)


@miniature
class session_cookie_is_passed_on(Service):
    """The outbound call carries the cookies of the request that it is made for."""

    passed_on: ContextVar[dict[str, str]] = ContextVar("passed_on")

    async def external_data(self, request: Request) -> Response:  # type: ignore[override]
        self.passed_on.set({name: value for name, value in request.headers.items() if name == "cookie"})
        return await super().external_data()

    async def fetch(self, url: str) -> httpx.Response:
        return await self.upstream.get(url, headers=self.passed_on.get())
