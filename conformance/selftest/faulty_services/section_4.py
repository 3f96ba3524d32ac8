"""Faults in section 4: the document, the calls that fetch it, and what a failed call leaves."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import asyncio
import codecs
import http.client
import json
import os
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from decimal import Decimal
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response

from conformance.selftest.faulty_services.service import Service
from conformance.selftest.faulty_services.table import faulty_service


@faulty_service(
    fails=("UP-1",), because=r"the member \"userId\" is missing", consequences=("UP-9",)
)
class user_id_is_renamed(Service):
    """The member `userId` is answered in snake case, as a response model declares it."""

    def document(self, response: httpx.Response) -> str:
        return json.dumps(json.loads(super().document(response), object_hook=self.renamed))

    def renamed(self, found: dict[str, Any]) -> dict[str, Any]:
        return {"user_id" if name == "userId" else name: value for name, value in found.items()}


@faulty_service(
    fails=("UP-1", "UP-2"), because=r"the member \"(body|next)\" is missing", consequences=("UP-9",)
)
class members_that_are_null_are_left_out(Service):
    """Members of the document that are null are left out, as by `response_model_exclude_none`."""

    def document(self, response: httpx.Response) -> str:
        return json.dumps(json.loads(super().document(response), object_hook=self.without_nulls))

    def without_nulls(self, found: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in found.items() if value is not None}


@faulty_service(fails=("UP-2",), because=r"wanted -?\d{16,}, got -?\d{16,}")
class document_integers_pass_through_floats(Service):
    """Integers of the document pass through floats, which round what is beyond 2^53."""

    def document(self, response: httpx.Response) -> str:
        return json.dumps(
            json.loads(super().document(response), parse_int=lambda digits: int(float(digits)))
        )


@faulty_service(
    fails=("UP-2",), because=r"\$: wanted (null|0|false|\"\"|\[\]|0\.0|-0\.0), got \{\}"
)
class falsy_document_becomes_an_object(Service):
    """A document that is null, zero, false or empty is answered as an empty object."""

    def document(self, response: httpx.Response) -> str:
        return json.dumps(json.loads(super().document(response)) or {})


@faulty_service(fails=("UP-2",), because=r"^502 .*is not JSON")
class compressed_document_is_not_opened(Service):
    """The body is read as it came over the wire, so that a compressed one is no JSON."""

    async def fetch(self, url: str) -> httpx.Response:
        async with self.upstream.stream("GET", url) as response:
            content = b"".join([chunk async for chunk in response.aiter_raw()])
        return httpx.Response(response.status_code, content=content)


@faulty_service(fails=("UP-3",), because=r"^1 of them at startup")
class document_is_fetched_at_startup(Service):
    """Startup fetches the document once, to see that the upstream is there."""

    async def connect(self) -> None:
        await super().connect()
        with suppress(httpx.HTTPError):
            await self.fetch(os.environ["EXTERNAL_DATA_URL"])


@faulty_service(fails=("UP-3",), because=r"^GET /posts\?userId=1&tag=c$")
class repeated_parameter_of_the_url_is_lost(Service):
    """The URL's query passes through a dictionary, which keeps one value of a name."""

    async def fetch(self, url: str) -> httpx.Response:
        place, _, query = url.partition("?")
        return await self.upstream.get(place, params=dict(parse_qsl(query)))


@faulty_service(fails=("UP-3",), because=r"^6 of them", consequences=("CONC-6", "CONC-10"))
class every_fifth_call_is_made_twice(Service):
    """Of every five calls one is made a second time, as a sample of how long the upstream takes."""

    made = 0

    async def fetch(self, url: str) -> httpx.Response:
        self.made += 1
        is_sampled = self.made % 5 == 0
        response = await super().fetch(url)
        return await super().fetch(url) if is_sampled else response


@faulty_service(
    fails=("UP-3",),
    because=r"\$\.nonce: wanted 1, got 0",
    consequences=("UP-2", "UP-4", "UP-13", "CONC-6", "CONC-11"),
)
class document_of_the_same_length_is_repeated(Service):
    """The first document of each length is kept, and answered instead of each later one."""

    def __init__(self) -> None:
        self.known: dict[int, str] = {}

    def document(self, response: httpx.Response) -> str:
        return self.known.setdefault(len(response.content), super().document(response))


@faulty_service(
    fails=("UP-4",),
    because=r"^500 ",
    consequences=(
        "UP-3",
        "UP-9",
        "HTTP-3",
        "CONC-5",
        "CONC-11",
        "UP-5",
        "UP-13",
        "UP-12",
        "UP-7",
        "UP-8",
        "UP-10",
        "LIFE-11",
    ),
)
class error_of_the_upstream_closes_the_client(Service):
    """Where the upstream answers an error, the client is closed, and never opened again."""

    def document(self, response: httpx.Response) -> str:
        if not response.is_success:
            asyncio.ensure_future(self.upstream.aclose())  # noqa: RUF006
        return super().document(response)


@faulty_service(
    fails=("UP-4",),
    because=r"^502 .*the upstream answered 404",
    consequences=("UP-3", "UP-7", "UP-8", "UP-9", "UP-10", "UP-12", "UP-13", "HTTP-3"),
)
class upstream_404_is_final(Service):
    """Once the upstream has answered 404, every later call is answered so without being made."""

    missing: httpx.Response | None = None

    async def fetch(self, url: str) -> httpx.Response:
        response = self.missing or await super().fetch(url)
        if response.status_code == httpx.codes.NOT_FOUND:
            self.missing = response
        return response


@faulty_service(fails=("UP-4",), because=r"\"after\": \"a body that is no gzip\".*502 ")
class broken_gzip_fails_the_next_call_too(Service):
    """The error of a body that could not be decompressed is kept. The next call raises it again."""

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


@faulty_service(
    fails=("UP-4",),
    because=r"\"after\": \"a body cut off\".*502 ",
    consequences=("UP-6", "CONC-10"),
)
class what_came_of_a_cut_off_body_begins_the_next(Service):
    """Buffers are used again, and one is emptied only after a body that was complete."""

    def __init__(self) -> None:
        self.buffers: list[bytearray] = []

    async def fetch(self, url: str) -> httpx.Response:
        buffer = self.buffers.pop() if self.buffers else bytearray()
        try:
            async with self.upstream.stream("GET", url) as response:
                async for chunk in response.aiter_bytes():
                    buffer += chunk
            content = bytes(buffer)
            buffer.clear()
        finally:
            self.buffers.append(buffer)
        return httpx.Response(response.status_code, content=content)


@faulty_service(fails=("UP-3",), because=r"^3 of them")
class failed_call_is_retried(Service):
    """A call that the upstream fails is made again, twice."""

    async def fetch(self, url: str) -> httpx.Response:
        response = await super().fetch(url)
        for _ in range(2):
            if response.status_code >= 500:
                response = await super().fetch(url)
        return response


@faulty_service(fails=("UP-5",), because=r"^500 ")
class refused_connection_is_500(Service):
    """Only errors of the connection to the upstream are handled, others are the service's own."""

    async def fetch(self, url: str) -> httpx.Response:
        try:
            return await super().fetch(url)
        except httpx.ConnectError as error:
            raise ConnectionError("the upstream could not be reached") from error


@faulty_service(fails=("UP-5",), because=r"^502 .*the body is not JSON")
class refused_connection_is_told_in_plain_text(Service):
    """What is answered where the upstream refuses the connection is a 502 of plain text."""

    async def external_data(self) -> Response:
        try:
            return await super().external_data()
        except HTTPException as error:
            if not isinstance(error.__cause__, httpx.ConnectError):
                raise
            return PlainTextResponse("the upstream could not be reached", 502)


@faulty_service(fails=("UP-6",), because=r"^no complete answer")
class only_the_connection_has_a_timeout(Service):
    """The client's timeout is that of connecting alone; the answer is waited for without end."""

    seconds_of_a_call = None

    async def fetch(self, url: str) -> httpx.Response:
        return await self.upstream.get(url, timeout=httpx.Timeout(None, connect=2))


@faulty_service(fails=("UP-6",), because=r"^500 ")
class total_timeout_is_not_caught(Service):
    """A call has ten seconds as a whole, by a timeout of its own that nobody catches."""

    seconds_of_a_call = None

    async def external_data(self) -> Response:
        async with asyncio.timeout(10):
            return await super().external_data()

    async def fetch(self, url: str) -> httpx.Response:
        return await self.upstream.get(url, timeout=None)


@faulty_service(
    fails=("UP-6",),
    because=r"no outbound call could be held|^\d+ of them, and no other",
    consequences=("CONC-10",),
)
class call_that_timed_out_keeps_its_slot(Service):
    """A hundred calls at once are made. One that times out does not end being one of them."""

    async def connect(self) -> None:
        await super().connect()
        self.slots = asyncio.Semaphore(100)

    async def fetch(self, url: str) -> httpx.Response:
        await self.slots.acquire()
        try:
            response = await super().fetch(url)
        except httpx.TimeoutException:
            raise
        except httpx.HTTPError:
            self.slots.release()
            raise
        self.slots.release()
        return response


@faulty_service(
    fails=("UP-6",),
    because=r"an answer of /items/abc while outbound calls have no",
    consequences=("TASK-19",),
)
class rejections_wait_while_a_body_comes(Service):
    """While the body of an answer is read, nothing else that is JSON is written: not a 422."""

    async def connect(self) -> None:
        await super().connect()
        self.json = asyncio.Lock()

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)

        async def reject(request: Request, error: Exception) -> Response:
            assert isinstance(error, RequestValidationError)
            async with self.json:
                return await self.reject(request, error)

        application.exception_handler(RequestValidationError)(reject)

    async def fetch(self, url: str) -> httpx.Response:
        async with self.upstream.stream("GET", url) as response, self.json:
            await response.aread()
        return response


@faulty_service(fails=("UP-7",), because=r"where the upstream answers 4\d\d.*^200 ")
class upstreams_4xx_is_relayed_as_success(Service):
    """Only statuses of 500 and more are taken for the upstream's errors."""

    def document(self, response: httpx.Response) -> str:
        if response.is_client_error:
            response = httpx.Response(200, content=response.content)
        return super().document(response)


@faulty_service(
    fails=("UP-7",),
    because=r"where the upstream answers [45]\d\d.*^200 ",
    consequences=("CONC-11",),
)
class last_document_stands_in_for_an_error(Service):
    """Where the upstream answers an error, the last document that it sent is answered again."""

    last: str | None = None

    def document(self, response: httpx.Response) -> str:
        if self.last is None or not response.is_error:
            self.last = super().document(response)
        return self.last


@faulty_service(
    fails=("UP-8",),
    because=r"where the upstream sends no content.*^200 null",
    consequences=("CONC-11",),
)
class no_content_is_null(Service):
    """An upstream's 204 is answered as the document null."""

    def document(self, response: httpx.Response) -> str:
        return (
            "null" if response.status_code == httpx.codes.NO_CONTENT else super().document(response)
        )


@faulty_service(
    fails=("UP-8",),
    because=r"where the upstream sends a body that is no JSON.*^200 \"<html>",
    consequences=("UP-13",),
)
class what_is_no_json_becomes_a_text(Service):
    """A body that is no JSON is answered as a JSON text of its characters."""

    def document(self, response: httpx.Response) -> str:
        try:
            return super().document(response)
        except HTTPException:
            if response.is_error or not response.content:
                raise
            return json.dumps(response.text)


@faulty_service(fails=("UP-9",), because=r"^502 ", consequences=("UP-6", "CONC-10"))
class idle_connection_is_used_without_a_look(Service):
    """Connections are used again unchecked. After one was found closed, each call opens its own."""

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


@faulty_service(fails=("UP-9",), because=r"^503 ")
class calls_fail_while_closed_connections_are_cleared_away(Service):
    """The first call that finds connections closed removes them. Others meanwhile get a 503."""

    async def connect(self) -> None:
        await super().connect()
        self.clearing = asyncio.Lock()

    async def fetch(self, url: str) -> httpx.Response:
        transport: Any = self.upstream._transport
        closed = [
            connection for connection in transport._pool.connections if connection.has_expired()
        ]
        if closed and self.clearing.locked():
            raise HTTPException(503, "the upstream has closed its connections")
        if closed:
            async with self.clearing:
                await asyncio.sleep(0.5)
                await asyncio.gather(*(connection.aclose() for connection in closed))
        return await super().fetch(url)


@faulty_service(fails=("UP-10",), because=r"^cookie in it")
class session_cookie_is_passed_on(Service):
    """The outbound call carries the cookies of the request that it is made for."""

    passed_on: ContextVar[dict[str, str]] = ContextVar("passed_on")

    async def external_data(self, request: Request) -> Response:  # type: ignore[override]
        self.passed_on.set(
            {name: value for name, value in request.headers.items() if name == "cookie"}
        )
        return await super().external_data()

    async def fetch(self, url: str) -> httpx.Response:
        return await self.upstream.get(url, headers=self.passed_on.get())


@faulty_service(fails=("UP-10",), because=r"^authorization and cookie in it")
class names_of_credentials_are_looked_for_in_another_case(Service):
    """The call has the headers of the request. Credentials are removed, but in the wrong case."""

    passed_on: ContextVar[dict[str, str]] = ContextVar("passed_on")

    async def external_data(self, request: Request) -> Response:  # type: ignore[override]
        headers = dict(request.headers)
        for name in ("host", "Authorization", "Cookie"):
            headers.pop(name, None)
        self.passed_on.set(headers)
        return await super().external_data()

    async def fetch(self, url: str) -> httpx.Response:
        return await self.upstream.get(url, headers=self.passed_on.get())


@faulty_service(fails=("UP-3",), because=r"^4 of them")
class what_is_no_json_is_fetched_again(Service):
    """A document that cannot be read is fetched three times more."""

    async def fetch(self, url: str) -> httpx.Response:
        response = await super().fetch(url)
        for _ in range(3):
            try:
                json.loads(response.content)
                break
            except ValueError:
                response = await super().fetch(url)
        return response


@faulty_service(fails=("UP-10",), because=r"^authorization and cookie in it")
class credentials_go_with_the_next_call(Service):
    """The credentials of one client are kept, and sent with the next one's call."""

    kept: dict[str, str] = {}  # noqa: RUF012
    due: dict[str, str] = {}  # noqa: RUF012

    async def external_data(self, request: Request) -> Response:  # type: ignore[override]
        self.due, self.kept = (
            self.kept,
            {
                name: value
                for name, value in request.headers.items()
                if name in ("authorization", "cookie")
            },
        )
        return await super().external_data()

    async def fetch(self, url: str) -> httpx.Response:
        return await self.upstream.get(url, headers=self.due)


@faulty_service(fails=("UP-2",), because=r"^502 .*is not JSON")
class compressed_document_is_opened_up_to_64_kib(Service):
    """Of a compressed document no more than 64 KiB are opened."""

    async def fetch(self, url: str) -> httpx.Response:
        async with self.upstream.stream("GET", url) as response:
            if response.headers.get("content-encoding") != "gzip":
                await response.aread()
                return response
            raw = b"".join([part async for part in response.aiter_raw()])
        try:
            opened = zlib.decompressobj(wbits=31).decompress(raw, 2**16)
        except zlib.error as error:
            raise httpx.DecodingError(str(error)) from error
        return httpx.Response(response.status_code, content=opened)


@faulty_service(
    fails=("UP-4",),
    because=r"^(504 |no complete answer)",
    consequences=(
        "UP-3",
        "UP-5",
        "UP-7",
        "UP-8",
        "UP-9",
        "UP-10",
        "UP-12",
        "UP-13",
        "HTTP-2",
        "HTTP-3",
        "HTTP-7",
        "CONC-11",
    ),
)
class failed_calls_keep_their_connections(Service):
    """The answer of a failed call is never closed, so a pool of a hundred loses its connection."""

    limits = httpx.Limits(max_connections=100)

    async def fetch(self, url: str) -> httpx.Response:
        response = await self.upstream.send(self.upstream.build_request("GET", url), stream=True)
        if response.is_success:
            await response.aread()
        return response


@faulty_service(fails=("UP-7",), because=r"where the upstream answers 4\d\d.*^200 ")
class statuses_that_are_not_listed_are_success(Service):
    """Errors are known by a list of statuses, in which the rarer ones are missing."""

    def document(self, response: httpx.Response) -> str:
        if response.status_code not in {
            400,
            401,
            403,
            404,
            405,
            408,
            410,
            422,
            429,
            *range(500, 600),
        }:
            response.status_code = 200
        return super().document(response)


@faulty_service(fails=("UP-8",), because=r"where the upstream sends a number cut off.*^200 123")
class what_came_of_a_cut_off_body_is_tried(Service):
    """What came of a body that is cut off is used where it is JSON still."""

    async def fetch(self, url: str) -> httpx.Response:
        came = bytearray()
        with suppress(httpx.RemoteProtocolError):
            async with self.upstream.stream("GET", url) as response:
                async for part in response.aiter_bytes():
                    came += part
        return httpx.Response(response.status_code, content=bytes(came))


@faulty_service(fails=("UP-6",), because=r"does not end its answer.*^no complete answer")
class only_the_head_has_a_timeout(Service):
    """The upstream has five seconds for the head of its answer, and no limit for the body."""

    seconds_of_a_call = None

    async def fetch(self, url: str) -> httpx.Response:
        request = self.upstream.build_request("GET", url, timeout=None)
        try:
            async with asyncio.timeout(5):
                response = await self.upstream.send(request, stream=True)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no head in time") from error
        await response.aread()
        await response.aclose()
        return response


@faulty_service(fails=("UP-2",), because=r"wanted 1\d{27}")
class document_integers_are_rounded_to_28_digits(Service):
    """Integers of the document are rounded to 28 digits, as arithmetic on decimals does it."""

    def document(self, response: httpx.Response) -> str:
        return json.dumps(
            json.loads(super().document(response), parse_int=lambda digits: int(+Decimal(digits)))
        )


@faulty_service(
    fails=("UP-4",),
    because=r"^503 .*left alone for a while",
    consequences=(
        "UP-3",
        "UP-6",
        "UP-9",
        "UP-13",
        "HTTP-3",
        "CONC-11",
        "CONC-10",
        "UP-10",
        "UP-12",
    ),
    inconclusive=("UP-7", "UP-8"),
)
class breaker_opens_after_five_failures(Service):
    """After five failures in a row there is no call for a minute. Each request gets a 503."""

    failures = 0
    until = 0.0

    async def external_data(self) -> Response:
        if time.monotonic() < self.until:
            raise HTTPException(503, "the upstream is left alone for a while")
        try:
            response = await super().external_data()
        except HTTPException:
            self.failures += 1
            if self.failures >= 5:
                self.until = time.monotonic() + 60
            raise
        self.failures = 0
        return response


@faulty_service(fails=("UP-6",), because=r"sends a byte of its head a second.*^no complete answer")
class each_byte_begins_the_timeout_anew(Service):
    """The call has five seconds for each read, as is httpx's default, and no limit as a whole."""

    seconds_of_a_call = None


@faulty_service(fails=("UP-6",), because=r"sends an interim answer \(103\) a second.*^no complete")
class interim_answers_begin_the_timeout_anew(Service):
    """Each head has eight seconds, and so has the body. An interim answer's head is one too."""

    seconds_of_a_call = None

    async def fetch(self, url: str) -> httpx.Response:
        place = urlsplit(url)
        asked = (
            f"GET {place.path}?{place.query} HTTP/1.1\r\n"
            f"Host: {place.netloc}\r\nConnection: close\r\n\r\n"
        )
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(place.hostname, place.port)
        except OSError as error:
            raise httpx.ConnectError("no connection") from error
        try:
            writer.write(asked.encode())
            return await self.answer(reader)
        except (ConnectionError, ValueError, asyncio.IncompleteReadError) as error:
            raise httpx.ReadError("no answer") from error
        finally:
            writer.close()

    async def answer(self, reader: asyncio.StreamReader) -> httpx.Response:
        status = 100
        while status < 200:
            async with asyncio.timeout(8):
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
            status = int(lines[0].split()[1])
        pairs = [line.partition(":") for line in lines[1:] if line]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        async with asyncio.timeout(8):
            if headers.pop("transfer-encoding", "") == "chunked":
                content = await self.read_chunks(reader)
            else:
                content = await reader.readexactly(int(headers.get("content-length", 0)))
        return httpx.Response(status, headers=headers, content=content)

    async def read_chunks(self, reader: asyncio.StreamReader) -> bytes:
        parts = []
        while size := int(await reader.readuntil(b"\r\n"), 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        return b"".join(parts)


@faulty_service(fails=("UP-6",), because=r"sends 4 GiB, slowly.*^no complete answer")
class only_a_slow_answer_is_given_up(Service):
    """A call is given up when less than a kilobyte came within two seconds, and never before."""

    seconds_of_a_call = None

    async def fetch(self, url: str) -> httpx.Response:
        came, parts = 0, []
        try:
            async with asyncio.timeout(4) as limit, self.upstream.stream("GET", url) as response:
                async for part in response.aiter_bytes():
                    came += len(part)
                    if came >= 1024:
                        came = 0
                        limit.reschedule(asyncio.get_running_loop().time() + 2)
                    parts.append(part)
        except TimeoutError as error:
            raise httpx.ReadTimeout("too slow") from error
        return httpx.Response(response.status_code, content=b"".join(parts))


@faulty_service(fails=("UP-6",), because=r"stops in the middle of a chunk.*^200 \[\]")
class what_came_before_the_timeout_is_answered(Service):
    """A body that stops is taken for complete where what came of it is JSON."""

    async def fetch(self, url: str) -> httpx.Response:
        came = bytearray()
        response: httpx.Response | None = None
        try:
            async with self.upstream.stream("GET", url) as response:
                async for part in response.aiter_bytes():
                    came += part
        except httpx.ReadTimeout:
            if not came or response is None:
                raise
        return httpx.Response(response.status_code, content=bytes(came))


@faulty_service(fails=("UP-12",), because=r"^it in 3 of 3 calls")
class shared_client_keeps_the_upstreams_cookies(Service):
    """The client that serves every caller keeps cookies, as httpx's does by itself."""

    def make_cookies(self) -> CookieJar:
        return CookieJar()


@faulty_service(fails=("UP-12",), because=r"^it in 1 of 3 calls")
class cookie_of_an_error_is_brought_back_once(Service):
    """The cookie of an answer that is an error goes with the next call, as of a retry."""

    due: str | None = None

    async def fetch(self, url: str) -> httpx.Response:
        due, self.due = self.due, None
        response = await self.upstream.get(url, headers={"Cookie": due} if due else {})
        if response.is_error:
            self.due = response.headers.get("set-cookie")
        return response


@faulty_service(fails=("UP-13",), because=r"^502 .*is not called JSON", consequences=("END-3",))
class only_application_json_is_json(Service):
    """An answer whose media type is not exactly `application/json` is no JSON."""

    def document(self, response: httpx.Response) -> str:
        if response.is_success and response.headers.get("content-type") != "application/json":
            raise HTTPException(502, "the upstream's answer is not called JSON")
        return super().document(response)


@faulty_service(fails=("UP-13",), because=r"\"text\": wanted|\$\.text: wanted")
class plain_text_is_read_as_latin_1(Service):
    """Text that names no charset is taken for Latin-1, as RFC 2616 had it."""

    def document(self, response: httpx.Response) -> str:
        text = super().document(response)
        if response.headers.get("content-type") == "text/plain":
            return response.content.decode("latin-1")
        return text


@faulty_service(fails=("UP-13",), because=r"the body is not JSON: .*BOM|^500 ")
class byte_order_mark_is_passed_on(Service):
    """The mark that begins a document is skipped by its reader, and relayed to the caller."""

    def document(self, response: httpx.Response) -> str:
        if not response.is_success or not response.content.startswith(codecs.BOM_UTF8):
            return super().document(response)
        json.loads(response.content)
        return response.content.decode()


@faulty_service(
    fails=("UP-8",), because=r"502, 503 or 504 where the upstream sends a body cut off.*^500 "
)
class connection_that_breaks_is_500(Service):
    """Where the upstream closes the connection early, nobody catches the client's error."""

    async def fetch(self, url: str) -> httpx.Response:
        try:
            return await super().fetch(url)
        except httpx.RemoteProtocolError as error:
            raise ConnectionError("the upstream closed the connection") from error


@faulty_service(fails=("UP-2",), because=r"^502 .*is not JSON")
class each_chunk_is_a_text(Service):
    """Each part of a body becomes a text as it comes, so that a character in two parts is none."""

    async def fetch(self, url: str) -> httpx.Response:
        async with self.upstream.stream("GET", url) as response:
            try:
                text = "".join([part.decode() async for part in response.aiter_bytes()])
            except UnicodeDecodeError:
                text = ""
        return httpx.Response(response.status_code, text=text)


@faulty_service(fails=("UP-3",), because=r"^1 of them")
class answers_are_kept_as_long_as_the_upstream_permits(Service):
    """A cache in front of the client keeps what `Cache-Control` permits it to keep."""

    kept: httpx.Response | None = None

    async def fetch(self, url: str) -> httpx.Response:
        if self.kept is None:
            response = await super().fetch(url)
            if "max-age" not in response.headers.get("Cache-Control", ""):
                return response
            self.kept = response
        return self.kept


@faulty_service(fails=("UP-4",), because=r"^(504 |no complete answer)", consequences=("UP-6",))
class refused_calls_keep_their_connections(Service):
    """An answer of 4xx is raised before the block that closes the response."""

    limits = httpx.Limits(max_connections=100)

    async def fetch(self, url: str) -> httpx.Response:
        response = await self.upstream.send(self.upstream.build_request("GET", url), stream=True)
        if response.is_client_error:
            return httpx.Response(response.status_code)
        try:
            await response.aread()
        finally:
            await response.aclose()
        return response
