"""Section 4 got wrong: the upstream's document, the calls that fetch it, and what a failed call leaves behind."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import json
import os
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

import httpx

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
