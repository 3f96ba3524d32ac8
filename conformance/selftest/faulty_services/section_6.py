"""Section 6 got wrong: what becomes of `q`."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import asyncio
import os
import re
import time
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import asyncpg
import redis.asyncio
from fastapi import Depends, FastAPI, Request

from conformance.selftest.faulty_services.service import Parameters, Service
from conformance.selftest.faulty_services.table import faulty_service


@faulty_service(
    fails=("DEP-1",),
    because=r"\$\.q: wanted null, got \"\"",
    consequences=("DEP-8",),
    inconclusive=("CONC-11",),
)
class absent_q_is_empty(Service):
    """Without `q` the answer is the empty string."""

    async def parameters(self, q: str | None = "") -> Parameters:
        return {"q": q}


@faulty_service(
    fails=("DEP-1",),
    because=r"the member \"q\" is missing",
    consequences=("DEP-8", "HTTP-2"),
    inconclusive=("CONC-11",),
)
class absent_q_is_left_out(Service):
    """Without `q` the answer has no such member, as if null were left out of every answer."""

    async def parameters(self, q: str | None = None) -> Parameters:
        return {} if q is None else {"q": q}


@faulty_service(fails=("DEP-2",), because=r"\$\.q: wanted .*, got .*ufffd")
class characters_of_four_bytes_are_replaced(Service):
    """Characters that take four bytes in UTF-8 are replaced, as in a `utf8mb3` column."""

    async def parameters(self, q: str | None = None) -> Parameters:
        return {"q": q and re.sub("[\U00010000-\U0010ffff]", "\ufffd", q)}


@faulty_service(fails=("DEP-2",), because=r"\$\.q: wanted .*%26.*, got .*&")
class q_is_decoded_twice(Service):
    """`q` is percent-decoded once more, which only a text that looks encoded shows."""

    async def parameters(self, q: str | None = None) -> Parameters:
        return {"q": q and unquote(q)}


@faulty_service(fails=("DEP-3",), because=r"\$\.q: wanted \"\", got null", consequences=("DEP-7",))
class empty_q_is_null(Service):
    """An empty `q` is taken for none: `q or None`."""

    async def parameters(self, q: str | None = None) -> Parameters:
        return {"q": q or None}


@faulty_service(fails=("DEP-3",), because=r"\$\.q: wanted \"\", got null")
class q_without_equals_sign_is_null(Service):
    """A bare `?q` is taken for none."""

    async def parameters(self, request: Request, q: str | None = None) -> Parameters:  # type: ignore[override]
        return {"q": None if request.url.query == "q" else q}


@faulty_service(fails=("DEP-4",), because=r"\$\.q: wanted \"null\", got null")
class word_null_is_null(Service):
    """The text `null` is taken for none."""

    async def parameters(self, q: str | None = None) -> Parameters:
        return {"q": None if q == "null" else q}


@faulty_service(fails=("DEP-4",), because=r"came before: 200 .*null.*200 .*upper")
class parameter_names_ignore_case(Service):
    """`Q` is taken for `q`."""

    async def parameters(self, request: Request, q: str | None = None) -> Parameters:  # type: ignore[override]
        return {"q": request.query_params.get("Q") if q is None else q}


@faulty_service(fails=("DEP-5",), because=r"^200 \{\"q\":\"x\"\}")
class item_with_q_is_a_listing(Service):
    """A request for an item that carries `q` is answered by the listing."""

    async def read_item(self, item_id: int, q: str | None = None) -> Any:
        return await super().read_item(item_id) if q is None else {"q": q}


@faulty_service(fails=("DEP-5",), because=r"a member \"q\" that should not be")
class item_with_q_echoes_it(Service):
    """An item that is requested with `q` has `q` in its answer, as in FastAPI's own tutorial."""

    async def read_item(self, item_id: int, q: str | None = None) -> Any:
        return await super().read_item(item_id) | ({} if q is None else {"q": q})


@faulty_service(
    fails=("DEP-6",),
    because=r"\$\.q: wanted \"caller-\d+\", got \"caller-\d+\"",
    consequences=("END-4", "CONC-11"),
)
class q_is_kept_on_the_service(Service):
    """`q` is kept on the shared service across an `await`."""

    async def parameters(self, q: str | None = None) -> Parameters:
        self.q = q
        await asyncio.sleep(0.01)
        return {"q": self.q}


@faulty_service(fails=("DEP-6",), because=r"\$\.q: wanted \"(caller-\d)\d?\", got \"\1\d?\"")
class listings_at_once_are_told_apart_by_eight_characters(Service):
    """Equal listings at once share one answer. Equal are those with the same first 8 characters."""

    answers: dict[str, asyncio.Future[Parameters]] = {}  # noqa: RUF012

    async def parameters(self, q: str | None = None) -> Parameters:
        if q is None:
            return {"q": None}
        key = q[:8]
        if key not in self.answers:
            self.answers[key] = asyncio.ensure_future(self.answer(q))
            self.answers[key].add_done_callback(lambda _: self.answers.pop(key))
        return await self.answers[key]

    async def answer(self, q: str) -> Parameters:
        await asyncio.sleep(0.01)
        return {"q": q}


@faulty_service(fails=("DEP-7",), because=r"\$\.q: wanted \"b\", got \"a\"")
class first_q_wins(Service):
    """Of repeated `q` the first is taken."""

    async def parameters(self, request: Request, q: str | None = None) -> Parameters:  # type: ignore[override]
        return {"q": None if q is None else request.query_params.getlist("q")[0]}


@faulty_service(fails=("DEP-7",), because=r"\$\.q: wanted \"b\", got \"a,b\"")
class repeated_q_is_joined(Service):
    """Repeated `q` are joined by commas."""

    async def parameters(self, request: Request, q: str | None = None) -> Parameters:  # type: ignore[override]
        return {"q": None if q is None else ",".join(request.query_params.getlist("q"))}


@faulty_service(
    fails=("DEP-8",), because=r"^no complete answer", consequences=("CONC-11", "CONC-8")
)
class listings_are_counted_in_redis(Service):
    """A listing is counted in Redis first. If Redis is away, that is handled, if slow, not."""

    async def connect(self) -> None:
        await super().connect()
        self.counter = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=None)

    async def disconnect(self) -> None:
        await self.counter.aclose()
        await super().disconnect()

    async def parameters(self, q: str | None = None) -> Parameters:
        with suppress(redis.RedisError, OSError):
            await self.counter.incr("listings")
        return await super().parameters(q)


@faulty_service(
    fails=("DEP-8",), because=r"^no complete answer", consequences=("CONC-4", "CONC-11")
)
class listing_with_q_looks_into_the_table(Service):
    """A listing with `q` counts items first. A database that is away is handled, a slow one not."""

    async def parameters(self, q: str | None = None) -> Parameters:
        if q is not None:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self.pool.fetchval("SELECT count(*) FROM items WHERE name = $1", q)
        return await super().parameters(q)


@faulty_service(fails=("DEP-9",), because=r"^def parameters\(q\)")
class dependency_is_a_plain_function(Service):
    """The dependency of the listing is a plain function, and runs in a thread."""

    def parameters(self, q: str | None = None) -> Parameters:  # type: ignore[override]
        return {"q": q}


@faulty_service(fails=("DEP-9",), because=r"^async def admit\(\)$")
class listing_takes_q_itself(Service):
    """`q` is declared on the endpoint of the listing, beside a dependency that does not take it."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        routes = application.router.routes
        routes[:] = [route for route in routes if getattr(route, "path", None) != "/items/"]
        application.get("/items/", dependencies=[Depends(self.admit)])(self.parameters)

    async def admit(self) -> None:
        """Let every caller in."""


@faulty_service(fails=("DEP-2",), because=r"\$\.q: wanted")
class q_is_cut_after_4096_characters(Service):
    """A long `q` is cut."""

    async def parameters(self, q: str | None = None) -> Parameters:
        return {"q": q and q[:4096]}


@faulty_service(fails=("DEP-2",), because=r"\$\.q: wanted")
class byte_order_mark_of_q_is_dropped(Service):
    """A byte order mark that `q` begins with is dropped, as `utf-8-sig` does."""

    async def parameters(self, q: str | None = None) -> Parameters:
        return {"q": q and q.removeprefix("\ufeff")}


@faulty_service(fails=("DEP-5",), because=r"\$\.item: wanted \{")
class item_id_of_the_query_wins(Service):
    """An `item_id` in the query is taken in place of the path's."""

    async def read_item(self, item_id: int, request: Request) -> Any:  # type: ignore[override]
        return await super().read_item(int(request.query_params.get("item_id", item_id)))


@faulty_service(fails=("DEP-7",), because=r"\$\.q: wanted \"a\", got \"b\"")
class greatest_q_wins(Service):
    """Of repeated `q` the greatest is taken."""

    async def parameters(self, request: Request, q: str | None = None) -> Parameters:  # type: ignore[override]
        return {"q": None if q is None else max(request.query_params.getlist("q"))}


@faulty_service(
    fails=("DEP-8",), because=r"^no complete answer", consequences=("CONC-4", "CONC-11", "DB-14")
)
class dependency_begins_a_transaction(Service):
    """The dependency takes a connection of the pool, as one does that all endpoints share."""

    async def parameters(self, q: str | None = None) -> Parameters:
        async with self.pool.acquire() as connection, connection.transaction():
            return await super().parameters(q)


@faulty_service(fails=("DEP-2",), because=r"\$\.q: wanted")
class characters_without_a_width_are_dropped(Service):
    """Characters that cannot be seen are dropped from `q`, as from a search."""

    async def parameters(self, q: str | None = None) -> Parameters:
        return {"q": q and re.sub("[\u200b-\u200f\u202a-\u202e\u2060-\u2069]", "", q)}


@faulty_service(fails=("DEP-6",), because=r"\$\.q: wanted \"caller-\d+x+", consequences=("DEP-2",))
class long_q_is_checked_on_the_service(Service):
    """A long `q` is checked in a thread. Meanwhile it is kept on the shared service."""

    async def parameters(self, q: str | None = None) -> Parameters:
        self.q = q
        if q and len(q) > 200:
            await asyncio.to_thread(time.sleep, 0.01)
            return {"q": self.q}
        return {"q": q}
