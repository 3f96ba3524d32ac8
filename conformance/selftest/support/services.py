"""Small services for the self-tests that are no faulty services: they do not start, or hang."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import asyncpg
import httpx
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse

from conformance.selftest.faulty_services.service import (
    Parameters,
    Receive,
    Row,
    Scope,
    Send,
    Service,
)

number = 5


def plain(word: str) -> str:
    """Be no application."""
    return word


@asynccontextmanager
async def _fails(_: FastAPI) -> AsyncIterator[None]:
    raise RuntimeError("no licence key")
    yield


fails_to_start = FastAPI(lifespan=_fails)


blocks = FastAPI()


@blocks.get("/sync")
async def _blocks_too() -> dict[str, str]:
    return {"message": "This is another message"}


@blocks.get("/async")
async def _answers() -> dict[str, str]:
    return {"message": "This is an asynchronous endpoint"}


@blocks.get("/external-data")
async def _blocks() -> Any:
    return httpx.get(os.environ["EXTERNAL_DATA_URL"], verify=False).json()  # noqa: ASYNC210, S501 - that is the fault; certificates would take long


class _ForgetsAfterAFailedCall(Service):
    """After a call that its upstream failed, the next item is taken for absent."""

    forgetful = False

    async def fetch(self, url: str) -> httpx.Response:
        """Make the outbound call, and keep whether it failed."""
        response = await super().fetch(url)
        self.forgetful = self.forgetful or response.is_error
        return response

    async def find(self, item_id: int) -> Row | None:
        """Read a row, unless a call has failed before."""
        self.forgetful, forgetful = False, self.forgetful
        return None if forgetful else await super().find(item_id)


forgets_after_a_failed_call = _ForgetsAfterAFailedCall()


class _AsksWhetherItsMemoryIsTrue(Service):
    """Rows are remembered with their version, and answered only if the table still has that."""

    async def connect(self) -> None:
        """Open what is kept, and an empty memory."""
        self.known: dict[int, tuple[str, Row]] = {}
        await super().connect()

    async def find(self, item_id: int) -> Row | None:
        """Read the row's version and the number of columns, and the row where these are new."""
        query = (
            "SELECT xmin || ' ' || ctid || ' ' || (SELECT count(*) FROM pg_attribute"
            " WHERE attrelid = 'items'::regclass AND attnum > 0 AND NOT attisdropped)"
            " FROM items WHERE id = $1"
        )
        version = await self.pool.fetchval(query, item_id)
        if version is None:
            self.known.pop(item_id, None)
            return None
        known = self.known.get(item_id)
        if known and known[0] == version:
            return known[1]
        if row := await super().find(item_id):
            self.known[item_id] = version, row
        return row


class _WarmsItsMemoryAtStartup(_AsksWhetherItsMemoryIsTrue):
    """The table is read at startup, and rows of the last process are kept over a stop.

    Both are looked at again before they are answered.
    """

    async def connect(self) -> None:
        """Read what the last process has kept, and the rows that are there."""
        await super().connect()
        database = urlsplit(os.environ["DATABASE_URL"]).path[1:]
        self.file = Path(tempfile.gettempdir(), f"ids-of-{database}")
        kept = self.file.read_text("utf-8").split() if self.file.exists() else []
        for row in await self.pool.fetch("SELECT id FROM items"):
            await self.find(row["id"])
        for item_id in kept:
            await self.find(int(item_id))

    async def disconnect(self) -> None:
        """Keep which rows are known."""
        await super().disconnect()
        self.file.write_text(" ".join(map(str, self.known)), "utf-8")


asks_whether_its_memory_is_true = _AsksWhetherItsMemoryIsTrue()
warms_its_memory_at_startup = _WarmsItsMemoryAtStartup()


class _NeverHeals(Service):
    """Once a read could not connect, everything is answered with 503."""

    broken = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, as long as it is well."""
        if scope["type"] == "http" and self.broken:
            await JSONResponse({"detail": "out of order"}, 503)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def find(self, item_id: int) -> Row | None:
        """Read a row, and give up for good where the database turns the service away."""
        try:
            return await super().find(item_id)
        except asyncpg.InvalidAuthorizationSpecificationError:
            self.broken = True
            raise


class _DiesInTheMiddle(Service):
    """The process ends at its 60th listing."""

    count = 0

    async def parameters(self, q: str | None = None) -> Parameters:
        """Collect the parameters, and count."""
        self.count += 1
        if self.count == 60:
            os._exit(9)
        return await super().parameters(q)


class _FloodsItsLog(Service):
    """Each listing prints some 300 kB."""

    async def parameters(self, q: str | None = None) -> Parameters:
        """Collect the parameters, and tell all about it."""
        print(
            "\n".join(
                f"listing {number} of the listings of q {q!r}{'.' * 270}" for number in range(1000)
            )
        )
        return await super().parameters(q)


class _AnswersWithGigabytes(Service):
    """The upstream's document is followed by 4 GB of spaces."""

    async def external_data(self) -> Response:
        """Answer with the upstream's JSON, and go on."""
        document = await super().external_data()

        async def parts() -> AsyncIterator[bytes]:
            yield bytes(document.body)
            for _ in range(4096):
                yield b" " * 2**20
                await (
                    anyio.lowlevel.checkpoint()
                )  # else the event loop is stuck in the rest of it once its client has left

        return StreamingResponse(parts(), media_type="application/json")


class _RedirectsForEver(Service):
    """`/sync` redirects to itself."""

    def read_sync(self) -> Any:
        """Answer with the place where the answer is."""
        return RedirectResponse("/sync")


class _SendsHeadsWithoutBodies(Service):
    """Listings are announced with a length, and do not come."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; of a listing, the head alone."""
        if scope["type"] == "http" and scope["path"] == "/items/":
            headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
            await anyio.sleep_forever()
        await super().__call__(scope, receive, send)


never_heals = _NeverHeals()
dies_in_the_middle = _DiesInTheMiddle()
floods_its_log = _FloodsItsLog()
answers_with_gigabytes = _AnswersWithGigabytes()
redirects_for_ever = _RedirectsForEver()
sends_heads_without_bodies = _SendsHeadsWithoutBodies()


async def hangs(scope: dict[str, Any], _receive: Any, _send: Any) -> None:
    """Take every request and never answer."""
    if scope["type"] == "http":
        await anyio.sleep_forever()


async def answers_async_alone(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Answer `/async` and hang on everything else."""
    if scope["type"] != "http":
        return
    if scope["path"] != "/async":
        await anyio.sleep_forever()
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send(
        {"type": "http.response.body", "body": b'{"message": "This is an asynchronous endpoint"}'}
    )


async def answers_everything(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Answer every request with an empty object, and reach nothing."""
    if scope["type"] == "http":
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": b"{}"})


MARKUP = (
    "</script></style><script>document.body.dataset.taken = 1</script>"
    '<img src=x onerror="document.body.dataset.taken = 1">'
)
CONTROLS = "\x1b[2J\x00\u202e\r\n`code`"


async def answers_with_markup(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Answer `/async` with what would break a page, `/sync` with a megabyte of it, and print it."""
    if scope["type"] != "http":
        return
    print(MARKUP, CONTROLS)
    texts = {"/async": MARKUP + CONTROLS, "/sync": f'{{"message": "{"<b>" * 350_000}"}}'}
    status = 200 if scope["path"] in texts else 404
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send({"type": "http.response.body", "body": texts.get(scope["path"], "{}").encode()})
