"""Tags, ranges and limits of length, around every answer (RFC 9110, 13, 14 and 15.5.15)."""

import hashlib
import re

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_URL, LONGEST_HEADER = 9000, 12_000  # octets
ONE_RANGE = re.compile(r"bytes=(\d+)-(\d*)", re.ASCII)


class Caching:
    """Gives each success a tag that is made of its body, and answers what asks for less."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if refusal := refuse(scope):
            await refusal(scope, receive, send)
            return
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, keep)
        answer = make_answer(Request(scope), messages)
        await answer(scope, receive, send)


def refuse(scope: Scope) -> Response | None:
    """Say what is too long; None if nothing is."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_URL:
        return JSONResponse({"detail": "URI Too Long"}, 414)
    if sum(len(name) + len(value) for name, value in scope["headers"]) > LONGEST_HEADER:
        return JSONResponse({"detail": "Request Header Fields Too Large"}, 431)
    return None


def make_answer(request: Request, messages: list[Message]) -> Response:
    """Make the answer of what the application said: all of it, a part, or that it is the same."""
    start, *parts = messages
    body = b"".join(part.get("body", b"") for part in parts)
    answer = Response(body, start["status"])
    answer.raw_headers = list(start["headers"])
    if start["status"] != 200 or request.method not in ("GET", "HEAD"):
        return answer
    tag = f'"{hashlib.blake2b(body, digest_size=9).hexdigest()}"'
    answer.headers["etag"] = tag
    wanted = [each.strip().removeprefix("W/") for each in asked(request, "if-none-match")]
    if tag in wanted or "*" in wanted:
        return Response(status_code=304, headers={"etag": tag})
    match = ONE_RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or "if-range" in request.headers or request.method != "GET":
        return answer
    return make_part(Headers(raw=answer.raw_headers), body, match)


def asked(request: Request, name: str) -> list[str]:
    """List the values of a header that is a list."""
    return request.headers.get(name, "").split(",")


def make_part(headers: Headers, body: bytes, wanted: re.Match[str]) -> Response:
    """Make the answer to one range of bytes."""
    first = int(wanted[1])
    last = min(int(wanted[2] or len(body)), len(body) - 1)
    if first >= len(body) or last < first:
        return JSONResponse(
            {"detail": "Range Not Satisfiable"},
            416,
            {"content-range": f"bytes */{len(body)}"},
        )
    return Response(
        body[first : last + 1],
        206,
        {
            "content-type": headers["content-type"],
            "etag": headers["etag"],
            "content-range": f"bytes {first}-{last}/{len(body)}",
        },
    )
