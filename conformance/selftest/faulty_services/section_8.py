"""Section 8 got wrong: what the service says of itself, and how it says no."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import json
import os
import re
import traceback
import zlib
from copy import deepcopy
from functools import cached_property
from typing import Annotated, Any

import httpx
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from redis.exceptions import ConnectionError as RedisConnectionError

from conformance.selftest.faulty_services.service import Parameters, Receive, Scope, Send, Service
from conformance.selftest.faulty_services.table import faulty_service


@faulty_service(fails=("HTTP-1",), because=r"the optional query parameter q of GET /items/")
class q_is_left_out_of_the_openapi_document(Service):
    """The OpenAPI document does not show the parameter `q`."""

    async def parameters(
        self, q: Annotated[str | None, Query(include_in_schema=False)] = None
    ) -> Parameters:
        return await super().parameters(q)


@faulty_service(fails=("HTTP-1",), because=r"a JSON body of POST /process-data/\n.*\[\]")
class body_is_read_by_hand(Service):
    """The body of a submission is read by hand, and the OpenAPI document does not have it."""

    async def process_data(self, request: Request) -> Any:  # type: ignore[override]
        try:
            data = json.loads(await request.body())
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise RequestValidationError(
                [{"type": "dict_type", "loc": ("body",), "msg": "Input should be an object"}]
            )
        return await super().process_data(data)


@faulty_service(fails=("HTTP-2",), because=r"application/problem\+json", consequences=("TASK-19",))
class rejected_submission_is_problem_json(Service):
    """A body that is rejected has the right errors, as `application/problem+json`."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        answer = await super().reject(request, error)
        if request.method == "POST":
            answer.headers["content-type"] = "application/problem+json"
        return answer


@faulty_service(fails=("HTTP-2",), because=r"^415 ", consequences=("TASK-19",))
class number_for_a_body_is_415(Service):
    """A body that is a number gets a 415, which the contract does not have. Others do not."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        if isinstance(error.body, int | float):
            return JSONResponse({"detail": "a number is no document"}, 415)
        return await super().reject(request, error)


@faulty_service(fails=("HTTP-3",), because=r"503 ", consequences=("TASK-19",))
class error_at_position_zero_is_503(Service):
    """A body that is no JSON from its first character gets a 503: position 0 is taken for none."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        if not error.errors()[0]["loc"][-1]:
            return JSONResponse({"detail": "try again later"}, 503)
        return await super().reject(request, error)


@faulty_service(fails=("HTTP-3",), because=r"^500 ")
class fraction_for_an_id_is_500(Service):
    """The parameter takes any number as an id, and a fraction raises an error in the endpoint."""

    async def read_item(self, item_id: Annotated[float, Field(allow_inf_nan=False)]) -> Any:
        if not item_id.is_integer():
            raise ValueError(f"{item_id} is a fraction")
        return await super().read_item(int(item_id))


@faulty_service(fails=("HTTP-4", "HTTP-2"), because=r"422 with errors of loc, msg and type")
class errors_have_no_type(Service):
    """Each error of a 422 has its place and its message, and no `type`."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, _: Request, error: RequestValidationError) -> Response:
        return JSONResponse(
            {"detail": [{"loc": each["loc"], "msg": each["msg"]} for each in error.errors()]}, 422
        )


@faulty_service(
    fails=("HTTP-4",),
    because=r"\"loc\":\"body\.\d",
    consequences=(
        "TASK-19",
        "HTTP-2",
    ),
)
class place_of_broken_json_is_a_text(Service):
    """Where a body is no JSON, the error's `loc` is a text, its steps joined by points."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        (first, *_) = error.errors()
        if first["type"] != "json_invalid":
            return await super().reject(request, error)
        return JSONResponse(
            {
                "detail": [
                    {
                        "type": first["type"],
                        "loc": ".".join(map(str, first["loc"])),
                        "msg": first["msg"],
                    }
                ]
            },
            422,
        )


@faulty_service(fails=("HTTP-5",), because=r"404, or 405 with .*^400 ")
class other_methods_are_400(Service):
    """A route that catches what no other takes says 400 where only the method is wrong."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.api_route(
            "/{path:path}",
            methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            include_in_schema=False,
        )(self.refuse)

    async def refuse(self, path: str, request: Request) -> Any:
        status = 404 if request.method == "GET" else 400
        raise HTTPException(status, f"{path} does not take that")


@faulty_service(fails=("HTTP-5",), because=r"404, or 405 with .*^200 ", consequences=("HTTP-8",))
class every_method_reads(Service):
    """`/async` is a route of Starlette without methods, which takes all of them."""

    def add_routes(self, application: FastAPI) -> None:
        application.api_route(
            "/async",
            methods=["POST", "PUT", "PATCH", "DELETE"],
            include_in_schema=False,
        )(self.read_async)
        super().add_routes(application)


@faulty_service(fails=("HTTP-5",), because=r"^405 with ''", consequences=("HTTP-8",))
class refused_method_loses_its_allow_header(Service):
    """A handler for every HTTP error keeps status and detail, and forgets the headers."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(405)(self.refuse)

    async def refuse(self, _: Request, error: HTTPException) -> Response:
        return JSONResponse({"detail": error.detail}, error.status_code)


@faulty_service(fails=("HTTP-1",), because=r"unresolved")
class openapi_document_refers_to_what_it_has_not(Service):
    """The OpenAPI document comes without its components, to which it refers."""

    @cached_property
    def app(self) -> FastAPI:
        application = super().app
        complete = application.openapi
        application.openapi = lambda: {  # type: ignore[method-assign]
            name: value for name, value in complete().items() if name != "components"
        }
        return application


@faulty_service(fails=("HTTP-1",), because=r"item_id}/get/parameters/0/required: true")
class id_is_an_optional_parameter_in_the_openapi_document(Service):
    """The OpenAPI document declares the id in the path as one that may be left out."""

    @cached_property
    def app(self) -> FastAPI:
        application = super().app
        complete = application.openapi

        def document() -> dict[str, Any]:
            said = deepcopy(complete())
            said["paths"]["/items/{item_id}"]["get"]["parameters"][0]["required"] = False
            return said

        application.openapi = document  # type: ignore[method-assign]
        return application


@faulty_service(fails=("HTTP-1",), because=r"paths//sync/get/parameters/0/in: \"url\"")
class parameter_is_in_a_place_that_openapi_has_not(Service):
    """A parameter that was written into the document by hand is in the `url`."""

    @cached_property
    def app(self) -> FastAPI:
        application = super().app
        complete = application.openapi

        def document() -> dict[str, Any]:
            said = deepcopy(complete())
            said["paths"]["/sync"]["get"]["parameters"] = [{"name": "verbose", "in": "url"}]
            return said

        application.openapi = document  # type: ignore[method-assign]
        return application


@faulty_service(fails=("HTTP-1",), because=r"the schema of OpenAPI 3.0\npaths//items//get/.*null")
class document_is_called_3_0_and_is_3_1(Service):
    """The OpenAPI document names version 3.0, for an old generator's sake, and is one of 3.1."""

    @cached_property
    def app(self) -> FastAPI:
        application = super().app
        application.openapi_version = "3.0.3"
        return application


@faulty_service(fails=("HTTP-1",), because=r"components/schemas/\w+/type: \"map\"")
class component_has_a_type_of_another_language(Service):
    """A component of the OpenAPI document has the type `map`, which JSON Schema does not know."""

    @cached_property
    def app(self) -> FastAPI:
        application = super().app
        complete = application.openapi

        def document() -> dict[str, Any]:
            said = deepcopy(complete())
            said["components"]["schemas"]["HTTPValidationError"]["type"] = "map"
            return said

        application.openapi = document  # type: ignore[method-assign]
        return application


class Wrapped(Service):
    """The service behind a middleware of its own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.wrap(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await super().__call__(scope, receive, send)

    async def answer(self, send: Send, status: int, body: bytes, **headers: str) -> None:
        """Answer in place of the service."""
        lines = [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ]
        lines += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": lines})
        await send({"type": "http.response.body", "body": body})


@faulty_service(fails=("HTTP-7",), because=r"^the URL of the upstream and the port of the upstream")
class failed_call_tells_where_the_upstream_is(Service):
    """What is answered where the upstream cannot be reached has its URL."""

    async def external_data(self) -> Response:
        try:
            return await super().external_data()
        except HTTPException as error:
            url = os.environ["EXTERNAL_DATA_URL"]
            raise HTTPException(error.status_code, f"{url}: {error.detail}") from error


@faulty_service(fails=("HTTP-7",), because=r"^the user of the broker in 503 .*has no permissions")
class refused_submission_tells_the_brokers_error(Service):
    """A submission that fails is answered with what the broker says, the user's name among it."""

    async def submit(self, data: Any) -> str:
        try:
            return await super().submit(data)
        except HTTPException as error:
            raise HTTPException(503, str(error.__cause__)) from error


@faulty_service(fails=("HTTP-7",), because=r"^a traceback and a source file and .* in 404")
class unknown_path_is_answered_with_a_traceback(Service):
    """The page for unknown paths is the debugger's."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(404)(self.debug)

    async def debug(self, _: Request, error: Exception) -> Response:
        return JSONResponse({"detail": "".join(traceback.format_exception(error))}, 404)


@faulty_service(fails=("HTTP-7",), because=r"^an exception's class in 422")
class header_of_an_error_has_its_class(Service):
    """A header of each rejection names the class of the exception, for debugging."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        answer = await super().reject(request, error)
        kind = type(error)
        answer.headers["x-error"] = f"{kind.__module__}.{kind.__name__}"
        return answer


@faulty_service(fails=("HTTP-8",), because=r"^content-length: 0 in place of 44")
class head_is_200_for_everything(Wrapped):
    """HEAD is answered for the sake of health checks: 200, whatever the path."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await self.answer(send, 200, b"")
        else:
            await super().wrap(scope, receive, send)


@faulty_service(fails=("HTTP-8",), because=r"^500")
class head_breaks_what_looks_into_bodies(Wrapped):
    """HEAD is served as GET, and what measures the first byte of a body fails without one."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            raise IndexError("the body has no first byte")
        await super().wrap(scope, receive, send)


@faulty_service(
    fails=("HTTP-8",), because=r"^content-type: text/plain in place of application/json"
)
class head_has_another_media_type(Wrapped):
    """HEAD is served as GET without its body, under the media type of what is empty."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "HEAD":
            await super().wrap(scope, receive, send)
            return

        async def sent(message: Scope) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [(b"content-type", b"text/plain")]
            await send(message)

        await super().wrap({**scope, "method": "GET"}, receive, sent)


@faulty_service(fails=("HTTP-9",), because=r"wanted \"after\"|^304")
class tag_is_made_of_the_path(Wrapped):
    """Each path has a tag for good, and a read that names it is answered 304."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        tag = b'"%x"' % zlib.crc32(scope["raw_path"])
        if (b"if-none-match", tag) in scope["headers"]:
            await self.answer(send, 304, b"", etag=tag.decode())
            return

        async def sent(message: Scope) -> None:
            if message["type"] == "http.response.start" and scope["method"] == "GET":
                message["headers"] = [*message["headers"], (b"etag", tag)]
            await send(message)

        await super().wrap(scope, receive, sent)


@faulty_service(fails=("HTTP-9",), because=r"^304")
class any_date_is_late_enough_for_304(Wrapped):
    """A read that says since when is answered 304, without a look at the date."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        if any(name == b"if-modified-since" for name, _ in scope["headers"]):
            await self.answer(send, 304, b"")
        else:
            await super().wrap(scope, receive, send)


@faulty_service(fails=("HTTP-9",), because=r"^500 ")
class range_is_taken_apart_without_a_look(Wrapped):
    """A range is taken for two numbers of bytes, which fails where there are not two."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = dict(scope["headers"]).get(b"range")
        if wanted:
            _, _, numbers = wanted.partition(b"=")
            first, last = map(int, numbers.split(b"-"))
            scope["range"] = (first, last)
        await super().wrap(scope, receive, send)


@faulty_service(
    fails=("END-5", "LIFE-10"), because=r"ended with status 71", inconclusive=("END-4", "HTTP-10")
)
class long_header_ends_the_process(Wrapped):
    """A header that is longer than a buffer is taken for an attack, and for a fatal error."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        if any(len(value) > 8192 for _, value in scope["headers"]):
            os._exit(71)
        await super().wrap(scope, receive, send)


@faulty_service(fails=("HTTP-10",), because=r"^500 ")
class long_query_does_not_fit_its_log(Wrapped):
    """Each query is noted in a record of 8192 bytes, which a longer one does not fit."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        note = bytearray(8192)
        memoryview(note)[: len(scope["query_string"])] = scope["query_string"]
        await super().wrap(scope, receive, send)


@faulty_service(fails=("HTTP-10",), because=r"for many headers\n500 ")
class headers_are_noted_in_a_table_of_a_hundred(Wrapped):
    """The names of all headers are written to a table, which has room for a hundred."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        table = [b""] * 100
        for place, (name, _) in enumerate(scope["headers"]):
            table[place] = name
        await super().wrap(scope, receive, send)


@faulty_service(fails=("DEP-2", "HTTP-10"), because=r"^414 ")
class urls_end_at_2048_octets(Wrapped):
    """A URL of more than 2048 octets is refused, as browsers once did."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(scope["raw_path"]) + len(scope["query_string"]) > 2048:
            await self.answer(send, 414, b'{"detail": "too long"}')
        else:
            await super().wrap(scope, receive, send)


@faulty_service(
    fails=("HTTP-11",), because=r"200 for a body with chunks that arrives in parts\n4(00|22)"
)
class body_without_a_length_is_empty(Wrapped):
    """A middleware reads as much of a body as its length says, and without one nothing."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def read() -> Any:
            message = await receive()
            has_length = any(name == b"content-length" for name, _ in scope["headers"])
            return message if has_length or "body" not in message else {**message, "body": b""}

        await super().wrap(scope, read, send)


@faulty_service(
    fails=("TASK-6", "HTTP-11"),
    because=r"a submission of 201 kB\n4(00|22)",
    consequences=("TASK-13", "TASK-14"),
)
class first_part_of_a_body_is_taken_for_all(Wrapped):
    """A middleware that looks into bodies takes the first message for the whole."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def first() -> Any:
            message = await receive()
            return {**message, "more_body": False} if "body" in message else message

        await super().wrap(scope, first, send)


@faulty_service(fails=("END-4", "HTTP-11"), because=r"came before: 200 .*\n200 \{\"q\":\"0\"\}$")
class query_is_kept_by_connection(Wrapped):
    """What a connection has asked for is parsed once, and kept by the client's port."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int], bytes] = {}

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/items/" and scope["query_string"]:
            known = self.known.setdefault(tuple(scope["client"]), scope["query_string"])
            scope = {**scope, "query_string": known}
        await super().wrap(scope, receive, send)


@faulty_service(fails=("HTTP-7",), because=r"^an address in 503 .*Error 111 connecting to")
class broker_that_is_not_there_is_told_with_its_address(Service):
    """Of the errors of a submission only that of the connection is passed on, as it is."""

    async def submit(self, data: Any) -> str:
        try:
            return await super().submit(data)
        except HTTPException as error:
            cause = error.__cause__
            if cause and isinstance(cause.__cause__, RedisConnectionError):
                raise HTTPException(503, str(cause)) from error
            raise


@faulty_service(fails=("HTTP-7",), because=r"^an exception's class in 502")
class reset_connection_is_told_by_its_exception(Service):
    """Failures of a call are told in words, but for one that nobody has thought of."""

    async def external_data(self) -> Response:
        try:
            return await super().external_data()
        except HTTPException as error:
            if isinstance(error.__cause__, httpx.ReadError):
                raise HTTPException(502, repr(error.__cause__)) from error
            raise


@faulty_service(fails=("HTTP-9",), because=r"^304")
class tag_leaves_out_the_description(Wrapped):
    """The tag of a row is made of the other columns."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        messages: list[Scope] = []

        async def keep(message: Scope) -> None:
            messages.append(message)

        await super().wrap(scope, receive, keep)
        body = b"".join(message.get("body", b"") for message in messages)
        tag = b'"%x"' % zlib.crc32(re.sub(rb'"description":("[^"]*"|null)', b"", body))
        is_read = scope["method"] == "GET" and scope["path"].startswith("/items/")
        if is_read and (b"if-none-match", tag) in scope["headers"]:
            await self.answer(send, 304, b"", etag=tag.decode())
            return
        for message in messages:
            if is_read and message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"etag", tag)]
            await send(message)


@faulty_service(fails=("HTTP-11",), because=r"arrives in parts\n400", consequences=("TASK-6",))
class each_part_of_a_body_must_be_text(Wrapped):
    """Each part of a body is looked at for UTF-8 by itself."""

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def read() -> Scope:
            message: Scope = await receive()
            try:
                message.get("body", b"").decode()
            except UnicodeDecodeError:
                await self.answer(send, 400, b'{"detail": "no UTF-8"}')
                raise
            return message

        await super().wrap(scope, read, send)
