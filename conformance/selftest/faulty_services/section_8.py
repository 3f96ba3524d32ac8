"""Section 8 got wrong: what the service says of itself, and how it says no."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import json
from copy import deepcopy
from functools import cached_property
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from conformance.selftest.faulty_services.service import Parameters, Service
from conformance.selftest.faulty_services.table import faulty_service


@faulty_service(fails=("HTTP-1",), because=r"the optional query parameter q of GET /items/")
class q_is_left_out_of_the_openapi_document(Service):
    """The OpenAPI document does not show the parameter `q`."""

    async def parameters(
        self, q: Annotated[str | None, Query(include_in_schema=False)] = None
    ) -> Parameters:
        return await super().parameters(q)


@faulty_service(fails=("HTTP-1",), because=r"a JSON body of POST /process-data/\nnull")
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
        answer = await request_validation_exception_handler(request, error)
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
        return await request_validation_exception_handler(request, error)


@faulty_service(fails=("HTTP-3",), because=r"503 ", consequences=("TASK-19",))
class error_at_position_zero_is_503(Service):
    """A body that is no JSON from its first character gets a 503: position 0 is taken for none."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        if not error.errors()[0]["loc"][-1]:
            return JSONResponse({"detail": "try again later"}, 503)
        return await request_validation_exception_handler(request, error)


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
            return await request_validation_exception_handler(request, error)
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


@faulty_service(fails=("HTTP-5",), because=r"^404 ")
class other_methods_are_404(Service):
    """A route that catches what no other takes says 404 also where only the method is wrong."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.api_route(
            "/{path:path}",
            methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            include_in_schema=False,
        )(self.refuse)

    async def refuse(self, path: str) -> Any:
        raise HTTPException(404, f"there is no {path}")


@faulty_service(fails=("HTTP-5",), because=r"^405 with ''")
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


@faulty_service(fails=("HTTP-1",), because=r"required path parameter item_id")
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
