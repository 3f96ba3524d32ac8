"""Interleavings: sequences of changes, faults and requests in any order, judged step by step against the model of the service.

A sequence is written as a program of one line, steps apart by semicolons (`add 0; lock; ask item 0, external; unlock`), so that
what a search found can be run again as it is.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from conformance.client.http import Client, InFlight, Pending
from conformance.core import timeouts
from conformance.core.errors import Violation, WrongUsage
from conformance.core.evidence import Exchange, Fact, Journal, Observation
from conformance.judging.assertions import expect, expect_status
from conformance.spec import model
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.upstream import Upstream
from conformance.testbed.upstream_hold import HoldMode
from conformance.testbed.upstream_replies import Reply, make_reply

PROGRAM = "program"  # the channel of the fact that holds one
SLOTS = 2  # rows that a program speaks of, by number
FAILURE = Reply(status=500, body=b"<h1>no</h1>", headers=(("Content-Type", "text/html"),))

# What can be asked, as a program says it, and a request target where that does not depend on the world.
PLAIN = {
    "sync": ("/sync", model.sync_message()),
    "async": ("/async", model.async_message()),
    "list": ("/items/?q=a", model.listing("a")),
    "none": ("/items/", model.listing(None)),
}
QUESTIONS = (*PLAIN, *(f"item {slot}" for slot in range(SLOTS)), "external", "submit")

OPENING = ("document 0", "add 0")  # how a search begins each program
ENDING = (
    "upstream heals",
    "broker heals",
    "release",
    "unlock",
    "database heals",
)  # what is left of these, at the end of each
ALONE = (
    *OPENING,
    *(f"ask {question}" for question in QUESTIONS),
)  # every question by itself, while all is well

# Every other step with what it takes: a slot, or nothing.
STEPS = {
    "add": True, "change": True, "delete": True, "document": True, "lock": False, "unlock": False, "hold": False, "release": False,
    "database refuses": False, "database heals": False, "sessions end": False, "upstream fails": False, "upstream heals": False,
    "broker denies": False, "broker heals": False,
}  # fmt: skip


def parse(program: str) -> list[str]:
    """The steps of a program. Raises WrongUsage where one is none."""
    steps = [" ".join(step.split()) for step in program.split(";") if step.strip()]
    for step in steps:
        name, _, argument = step.rpartition(" ")
        questions = step.startswith("ask ") and all(
            question in QUESTIONS for question in step[4:].split(", ")
        )
        takes_slot = STEPS.get(name) is True and argument.isdigit() and int(argument) < SLOTS
        if not (questions or takes_slot or STEPS.get(step) is False):
            known = [name + (f" 0…{SLOTS - 1}" if takes else "") for name, takes in STEPS.items()]
            raise WrongUsage(
                f"--steps wants steps apart by semicolons; {step!r} is none. There are {', '.join(known)}, "
                f"and 'ask' with any of {', '.join(QUESTIONS)} apart by commas"
            )
    return steps


def is_program(fact: Fact) -> bool:
    """Whether a fact is the program that led to a violation."""
    return isinstance(fact, Observation) and fact.channel == PROGRAM


async def reads_again(client: Client, path: str) -> Exchange:
    """Ten reads at once, again until all succeed, ROUNDS_TO_RECOVER times at most; the first that failed last, or one that did not."""
    for _ in range(timeouts.ROUNDS_TO_RECOVER):
        exchanges = await client.all(*[path] * 10)
        failed = [exchange for exchange in exchanges if exchange.status != 200]
        if not failed:
            return exchanges[0]
    return failed[0]


@dataclass
class Asked:
    """A request that is held, and what a fault may have done to it meanwhile."""

    question: str
    item_id: int
    request: Pending
    disturbed: bool = False


@dataclass
class Play:
    """A program that is being run on a target, with the world as it should be."""

    client: Client
    send: InFlight
    items: Database
    queue: Broker
    upstream: Upstream
    journal: Journal
    world: model.World = field(
        default_factory=lambda: model.World(document=[])
    )  # as the stub answers when nothing was said
    done: list[str] = field(default_factory=list)
    _ids: dict[int, int] = field(default_factory=dict)  # of slots
    _held: list[Asked] = field(default_factory=list)
    _states: dict[str, AsyncExitStack] = field(default_factory=dict)

    async def do(self, step: str) -> None:
        """Take one step and judge what it brings. Raises Violation, with the program so far as evidence."""
        self.done.append(step)
        try:
            if step.startswith("ask "):
                await self._ask(step[4:].split(", "))
            elif step in STEPS:
                await getattr(self, "_" + step.replace(" ", "_"))()
            else:
                name, _, slot = step.partition(" ")
                await getattr(self, "_" + name)(int(slot))
        except Violation as violation:
            program = self.journal.observe(PROGRAM, "; ".join(self.done))
            raise Violation(
                violation.expected, violation.got, (*violation.evidence, program), violation.look_at
            ) from None

    async def whole(self, steps: Sequence[str]) -> None:
        """Run a whole program; a step that makes no sense where it stands is left out. Raises Violation."""
        try:
            for step in steps:
                if self.makes_sense(step):
                    await self.do(step)
            await self.end()
        finally:
            await self.close()

    def makes_sense(self, step: str) -> bool:
        """Whether a step can be taken in the world as it is: no row is added twice, nothing is healed that is well."""
        world, (name, _, slot) = self.world, step.partition(" ")
        free = not (world.reads_are_held or world.database_refuses)
        if name in ("add", "change", "delete"):
            return not world.reads_are_held and (name == "add") is not (
                self.id_of(int(slot)) in world.rows
            )
        return {
            "lock": free,
            "unlock": world.reads_are_held,
            "hold": not world.calls_are_held,
            "release": world.calls_are_held,
            "database refuses": not world.database_refuses,
            "database heals": world.database_refuses and not world.reads_are_held,
            "sessions end": free,
            "upstream fails": not world.upstream_fails,
            "upstream heals": world.upstream_fails,
            "broker denies": not world.broker_denies,
            "broker heals": world.broker_denies,
        }.get(step, True)

    async def end(self) -> None:
        """Heal and release everything, and judge what was held."""
        for step in ENDING:
            if self.makes_sense(step):
                await self.do(step)

    async def close(self) -> None:
        """Heal and release everything, and remove the rows, whatever became of the program."""
        for state in reversed(list(self._states.values())):
            await state.aclose()
        for item_id in self.world.rows:
            await self.items.rows.delete(item_id)

    # Changes

    def id_of(self, slot: int) -> int:
        """The id of a slot's row."""
        return self._ids.setdefault(slot, self.items.rows.pick_unused_id())

    async def _add(self, slot: int) -> None:
        self.world.rows[self.id_of(slot)] = await self.items.rows.insert(id=self.id_of(slot))

    async def _change(self, slot: int) -> None:
        quantity = len(self.done)  # a value that the row did not have before
        self.world.rows[self.id_of(slot)] = await self.items.rows.update(
            self.id_of(slot), quantity=quantity, name=f"changed by step {quantity}"
        )

    async def _delete(self, slot: int) -> None:
        await self.items.rows.delete(self.id_of(slot))
        del self.world.rows[self.id_of(slot)]

    async def _document(self, number: int) -> None:
        self.world.document = {"document": number}
        if not self.world.upstream_fails:
            await self._enter("document", self.upstream.answering(make_reply(self.world.document)))

    # What is held, and what fails

    async def _enter(
        self, name: str, state: AbstractAsyncContextManager[Any] | AbstractContextManager[Any]
    ) -> None:
        await self._leave(name)
        stack = self._states[name] = AsyncExitStack()
        if isinstance(state, AbstractAsyncContextManager):
            await stack.enter_async_context(state)
        else:
            stack.enter_context(state)

    async def _leave(self, name: str) -> None:
        if stack := self._states.pop(name, None):
            await stack.aclose()

    async def _lock(self) -> None:
        await self._enter("lock", self.items.locks.table_locked())
        self.world.reads_are_held = True

    async def _unlock(self) -> None:
        await self._leave("lock")
        self.world.reads_are_held = False
        await self._answered("item")

    async def _hold(self) -> None:
        await self._enter("hold", self.upstream.holding(HoldMode.TRICKLE_HEAD))
        self.world.calls_are_held = True

    async def _release(self) -> None:
        await self._leave("hold")
        self.world.calls_are_held = False
        await self._answered("external")

    async def _database_refuses(self) -> None:
        await self._enter("database", self.items.faults.logins_refused())
        self.world.database_refuses = True
        self._disturb("item")

    async def _database_heals(self) -> None:
        await self._leave("database")
        self.world.database_refuses = False
        await self._recovered()

    async def _sessions_end(self) -> None:
        await self.items.sessions.terminate_sessions()
        self._disturb("item")
        await self._recovered()

    async def _recovered(self) -> None:
        """Reads succeed again, as DB-12 wants it."""
        expect(
            await reads_again(self.client, f"/items/{self.items.rows.pick_unused_id()}"),
            model.item(None),
        )

    async def _upstream_fails(self) -> None:
        await self._leave("document")
        await self._enter("upstream", self.upstream.answering(FAILURE))
        self.world.upstream_fails = True

    async def _upstream_heals(self) -> None:
        await self._leave("upstream")
        self.world.upstream_fails = False
        await self._enter("document", self.upstream.answering(make_reply(self.world.document)))

    async def _broker_denies(self) -> None:
        await self._enter("broker", self.queue.faults.writes_refused())
        self.world.broker_denies = True

    async def _broker_heals(self) -> None:
        await self._leave("broker")
        self.world.broker_denies = False

    def _disturb(self, question: str) -> None:
        for asked in self._held:
            asked.disturbed = asked.disturbed or asked.question == question

    # Requests

    async def _ask(self, questions: list[str]) -> None:
        asked = [self._sent(question) for question in questions]
        for each in asked:
            if self._is_held(each.question):
                self._held.append(each)
            else:
                await self._judge(each)

    def _sent(self, question: str) -> Asked:
        name, _, slot = question.partition(" ")
        item_id = self.id_of(int(slot)) if slot else 0
        if name == "submit":
            return Asked(name, 0, self.send.post("/process-data/", {"step": len(self.done)}))
        path = {"item": f"/items/{item_id}", "external": "/external-data"}.get(name) or PLAIN[name][
            0
        ]
        return Asked(name, item_id, self.send(path)[0])

    def _is_held(self, question: str) -> bool:
        return (
            question == "item" and self.world.reads_are_held and not self.world.database_refuses
        ) or (question == "external" and self.world.calls_are_held)

    async def _answered(self, question: str) -> None:
        """Judge those that were held, now that they are let go."""
        free = [asked for asked in self._held if asked.question == question]
        self._held = [asked for asked in self._held if asked.question != question]
        for asked in free:
            await self._judge(asked)

    async def _judge(self, asked: Asked) -> None:
        exchange = await asked.request.answer()
        match asked.question:
            case "item":
                _expect(
                    exchange,
                    self.world.answer_to_read(asked.item_id),
                    disturbed=asked.disturbed or self.world.database_refuses,
                )
            case "external":
                _expect(exchange, self.world.answer_to_call(), disturbed=self.world.upstream_fails)
            case "submit" if self.world.broker_denies:
                expect_status(
                    exchange,
                    [*range(100, 200), *range(300, 600)],
                    "any answer but 2xx while the broker refuses writes",
                )
            case "submit":
                expect_status(exchange, range(200, 300), "a success of a submission")
            case plain:
                expect(exchange, PLAIN[plain][1])


def _expect(exchange: Exchange, right: model.Answer, *, disturbed: bool) -> None:
    """The right answer; of a request that a fault disturbs, any but a false success."""
    if not disturbed or exchange.status == right.status:
        expect(exchange, right)
