"""Section 8 got wrong: what the service says of itself, and how it says no."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from conformance.selftest.miniatures.service import Parameters, Service, miniature


@miniature
class q_is_left_out_of_the_openapi_document(Service):
    """The OpenAPI document does not show the parameter `q`."""

    async def parameters(self, q: Annotated[str | None, Query(include_in_schema=False)] = None) -> Parameters:
        return await super().parameters(q)


@miniature
class rejected_submission_is_problem_json(Service):
    """A body that is rejected is answered with the right errors under the media type `application/problem+json`."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        answer = await request_validation_exception_handler(request, error)
        if request.method == "POST":
            answer.headers["content-type"] = "application/problem+json"
        return answer


@miniature
class error_at_position_zero_is_503(Service):
    """A body that is no JSON from its first character on is answered 503, for the error's position zero is taken for none."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        if not error.errors()[0]["loc"][-1]:
            return JSONResponse({"detail": "try again later"}, 503)
        return await request_validation_exception_handler(request, error)


@miniature
class errors_have_no_type(Service):
    """Each error of a 422 has its place and its message, and no `type`."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, _: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"detail": [{"loc": each["loc"], "msg": each["msg"]} for each in error.errors()]}, 422)


@miniature
class other_methods_are_404(Service):
    """A route that catches what no other takes says 404 also where only the method is wrong."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)(self.refuse)

    async def refuse(self, path: str) -> Any:
        raise HTTPException(404, f"there is no {path}")
