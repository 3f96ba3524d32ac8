"""Faults in section 2: messages, media type, independence, and a process that ends."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import asyncio
import json
import math
import os
import signal
import threading
import time
from typing import Any

import httpx
from fastapi import FastAPI, HTTPException, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response

from conformance.selftest.faulty_services.service import (
    ID_MAX,
    ID_MIN,
    Parameters,
    Service,
    Supervised,
)
from conformance.selftest.faulty_services.table import faulty_service


@faulty_service(
    fails=("END-1",),
    because=r"a member \"status\" that should not be",
    consequences=("HTTP-2",),
    inconclusive=("CONC-11",),
)
class sync_has_one_member_more(Service):
    """`/sync` answers its message and a status beside it."""

    def read_sync(self) -> Any:
        return super().read_sync() | {"status": "ok"}


@faulty_service(
    fails=("END-2",),
    because=r"asynchronous endpoint\.",
    consequences=("DB-14", "HTTP-2", "HTTP-10"),
    inconclusive=("CONC-11",),
)
class async_message_ends_in_a_full_stop(Service):
    """The message of `/async` is a sentence with a full stop."""

    async def read_async(self) -> Any:
        return {"message": "This is an asynchronous endpoint."}


@faulty_service(
    fails=("END-3",),
    because=r"application/problem\+json",
    consequences=(
        "TASK-19",
        "HTTP-2",
    ),
)
class rejection_is_problem_json(Service):
    """An invalid id is rejected under the media type `application/problem+json`."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, _: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"detail": error.errors()}, 422, media_type="application/problem+json")


@faulty_service(fails=("END-3",), because=r"text/plain", consequences=("HTTP-2",))
class null_item_is_text(Service):
    """The answer without a row is written by hand and gets the media type `text/plain`."""

    async def read_item(self, item_id: int) -> Any:
        found = await super().read_item(item_id)
        return found if found["item"] else Response('{"item": null}', media_type="text/plain")


@faulty_service(fails=("END-4",), because=r"came before: .*200 ")
class listing_remembers_q_for_the_connection(Service):
    """A listing without `q` takes the last one that came over the same connection."""

    async def parameters(self, request: Request, q: str | None = None) -> Parameters:  # type: ignore[override]
        remembered = request.scope["client"]
        if q is not None:
            self.seen = {remembered: q}
        return {"q": getattr(self, "seen", {}).get(remembered)}


@faulty_service(
    fails=("END-5", "LIFE-10"),
    because=r"ended with status 70",
    inconclusive=("DB-10", "END-4", "HTTP-7"),
)
class id_beyond_the_range_ends_the_process(Service):
    """An id that no integer column can hold is taken for a fatal error."""

    async def read_item(self, item_id: int) -> Any:
        if item_id > ID_MAX:
            os._exit(70)
        return await super().read_item(item_id)


@faulty_service(fails=("END-3",), because=r"text/plain")
class upstreams_media_type_is_relayed(Service):
    """The upstream's JSON is relayed under whatever media type the upstream gave it."""

    async def external_data(self) -> Response:
        answer = await super().external_data()
        answer.headers["content-type"] = self.media_type
        return answer

    async def fetch(self, url: str) -> httpx.Response:
        response = await super().fetch(url)
        self.media_type = response.headers.get("content-type", "application/json")
        return response


@faulty_service(fails=("END-3",), because=r"text/plain", consequences=("HTTP-2",))
class existing_item_is_text(Service):
    """An item that exists is answered as text."""

    async def read_item(self, item_id: int) -> Any:
        found = await super().read_item(item_id)
        return (
            Response(json.dumps(jsonable_encoder(found)), media_type="text/plain")
            if found["item"]
            else found
        )


@faulty_service(
    fails=("LIFE-10",),
    because=r"ended by itself with status",
    consequences=("DB-10", "DB-11"),
    after=("DB-10",),
)
class id_beyond_the_range_stops_the_process(Service):
    """For an id of 64 bits, which the column cannot hold, the process sends itself SIGTERM."""

    async def read_item(self, item_id: int) -> Any:
        if ID_MAX < item_id < 2**64:
            os.kill(os.getpid(), signal.SIGTERM)
        return await super().read_item(item_id)


@faulty_service(
    fails=("END-6",), because=r"a coroutine function for /async\na plain function, read_async"
)
class async_is_a_plain_function(Service):
    """The endpoint of `/async` is a plain function, and runs in a thread."""

    def read_async(self) -> Any:
        return {"message": "This is an asynchronous endpoint"}


@faulty_service(
    fails=("END-1",),
    because=r"\$: wanted \{.*\}, got \"",
    consequences=("HTTP-2",),
    inconclusive=("CONC-11",),
)
class sync_is_encoded_twice(Service):
    """`/sync` returns JSON text, which FastAPI encodes as a string once more."""

    def read_sync(self) -> Any:
        return json.dumps(super().read_sync())


@faulty_service(
    fails=("END-2",),
    because=r"the body is not JSON: .*BOM",
    consequences=("DB-14", "HTTP-2", "HTTP-10"),
    inconclusive=("CONC-11",),
)
class async_begins_with_a_byte_order_mark(Service):
    """The body of `/async` is written as UTF-8 with a byte order mark, which JSON must not have."""

    async def read_async(self) -> Any:
        return Response(
            json.dumps(await super().read_async()).encode("utf-8-sig"),
            media_type="application/json",
        )


@faulty_service(
    fails=("END-4",),
    because=r"the answer of /sync that came before: 200 .*^503 ",
    consequences=("CONC-11",),
)
class sync_is_refused_while_another_is_answered(Service):
    """One `/sync` is answered at a time, and what comes meanwhile is told to come again."""

    answering = threading.Lock()

    def read_sync(self) -> Any:
        if not self.answering.acquire(blocking=False):
            raise HTTPException(503, "try again later")
        try:
            time.sleep(0.05)  # else they might not meet
            return super().read_sync()
        finally:
            self.answering.release()


@faulty_service(
    fails=("END-6",),
    because=r"a coroutine function for /items/\{item_id\}\na plain function, read_item",
)
class read_item_is_a_plain_function(Service):
    """The endpoint `/items/{item_id}` is a plain function, and waits in a thread for the read."""

    async def connect(self) -> None:
        await super().connect()
        self.loop = asyncio.get_running_loop()

    def read_item(self, item_id: int) -> Any:
        return asyncio.run_coroutine_threadsafe(super().read_item(item_id), self.loop).result()


@faulty_service(
    fails=("END-5", "LIFE-10"), because=r"ended with status 70", inconclusive=("DB-10", "END-4")
)
class id_below_the_range_ends_the_process(Service):
    """An id that is too small for any integer column is taken for a fatal error."""

    async def read_item(self, item_id: int) -> Any:
        if item_id < 10 * ID_MIN:
            os._exit(70)
        return await super().read_item(item_id)


@faulty_service(
    fails=("END-4",),
    because=r"came before",
    consequences=("TASK-19", "DEP-1", "DEP-4", "DEP-8", "CONC-11", "CONC-3", "CONC-4"),
)
class listing_after_a_rejection_takes_the_rejected_path(Service):
    """The path that was rejected last is taken for `q` by the next listing that has none."""

    last: str | None = None

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        self.last = request.url.path if request.method == "GET" else None
        return await super().reject(request, error)

    async def parameters(self, q: str | None = None) -> Parameters:
        last, self.last = self.last, None
        return {"q": last if q is None else q}


@faulty_service(fails=("END-3",), because=r"text/html")
class browsers_get_a_page(Service):
    """Who prefers HTML gets the answer of `/async` as a page."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.middleware("http")(self.rendered)

    async def rendered(self, request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        if request.url.path == "/async" and request.headers.get("accept", "").startswith(
            "text/html"
        ):
            return HTMLResponse("<p>This is an asynchronous endpoint</p>")
        return response


@faulty_service(
    fails=("END-5",),
    because=r"the same process to serve.*another",
    consequences=("LIFE-1", "DB-10"),
    inconclusive=("HTTP-7",),
)
class serving_process_is_replaced_after_an_id_beyond_the_range(Supervised):
    """An id that no integer column can hold ends the serving process. Its parent starts another."""

    async def read_item(self, item_id: int) -> Any:
        if item_id > ID_MAX:
            os._exit(70)
        return await super().read_item(item_id)


@faulty_service(
    fails=("END-5",),
    because=r"the same process to serve.*another",
    consequences=("LIFE-1", "UP-8", "UP-4", "LIFE-10", "HTTP-7", "CONC-11"),
)
class serving_process_is_replaced_after_an_answer_that_is_no_json(Supervised):
    """Over an upstream's answer that is not JSON the serving process aborts, and is replaced."""

    def document(self, response: httpx.Response) -> str:
        if response.content.startswith(b"<"):
            os.abort()
        return super().document(response)


@faulty_service(
    fails=("END-1",), because=r"a member \"notice\"", consequences=("END-4", "HTTP-2", "CONC-11")
)
class failed_call_is_announced_for_a_while(Service):
    """For half a minute after a failed call, `/sync` has a notice of it."""

    failed_at = -math.inf

    async def fetch(self, url: str) -> httpx.Response:
        try:
            response = await super().fetch(url)
        except httpx.HTTPError:
            self.failed_at = time.monotonic()
            raise
        if not response.is_success:
            self.failed_at = time.monotonic()
        return response

    def read_sync(self) -> Any:
        is_recent = time.monotonic() < self.failed_at + 30
        return super().read_sync() | ({"notice": "degraded"} if is_recent else {})


@faulty_service(fails=("END-4",), because=r"^the answer of /items/\d+ that came before")
class reads_beyond_two_are_written_by_another_encoder(Service):
    """Two reads at once are answered by the framework. Others are written by `json.dumps`."""

    reading = 0

    async def read_item(self, item_id: int) -> Any:
        self.reading += 1
        try:
            answer = await super().read_item(item_id)
            if self.reading <= 2:
                return answer
            text = json.dumps(jsonable_encoder(answer))
            return Response(text, media_type="application/json")
        finally:
            self.reading -= 1
