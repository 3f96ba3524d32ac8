"""Probes of section 5: submissions, their messages in Redis, and what the worker makes of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import example, given, settings

from conformance.client.http import Client
from conformance.client.task_ids import find_task_id
from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Exchange, Fact, QueuedMessage
from conformance.core.observations import TaskLocation, TaskResult
from conformance.judging.assertions import (
    expect,
    expect_status,
    parse_body,
    require,
    require_situation,
)
from conformance.scenarios.lifecycle.broker_unreachable import BrokerUnreachable
from conformance.scenarios.lifecycle.crash_after_submit import CrashAfterSubmit
from conformance.scenarios.lifecycle.graceful_stop import GracefulStop
from conformance.scenarios.lifecycle.observer import LifecycleObserver
from conformance.scenarios.lifecycle.server_restarts import RestartsObserved, WorkerAlone
from conformance.spec import model, strategies
from conformance.spec.strategies import AWKWARD_TEXT
from conformance.target.capabilities import Capabilities
from conformance.target.server import Target
from conformance.target.worker import Worker
from conformance.testbed.broker import Broker

PATH = "/process-data/"
LARGE = 10_000  # bytes of a body from which its size is said
LEVELS = 50  # of nesting that data may have
LATE = 20  # submissions at once, after all others of the MUSTs
NO_OBJECTS = {
    "list": b'[{"a": 1}]', "null": b"null", "text": b'"text"', "number": b"7", "boolean": b"true",
    "broken": b'{"a": ', "empty": b"", "invalid UTF-8": b'{"a": "\xff"}',
    "trailing comma": b'{"a": 1,}', "comment": b'{"a": 1} // one', "single quotes": b"{'a': 1}",
    "name without quotes": b"{a: 1}", "two documents": b'{"a": 1}\n{"b": 2}',
    "byte order mark and list": b"\xef\xbb\xbf[1]",
}  # fmt: skip
# What some parsers take that not every encoder can write.
ODD_OBJECTS = [
    b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e999}', b'{"a": "\\ud800"}', b'{"\\udfff": 1}',
    b'\xef\xbb\xbf{"a": 1}',
]  # fmt: skip
ODD_VALUES = [b"[NaN]", b"Infinity", b"[1e999]", b'["\\ud800"]', b'"\\udfff"']


def nested(levels: int, wrap: Callable[[Any], Any]) -> dict[str, Any]:
    """An object with this many levels of nesting, itself the first."""
    value = wrap(None)
    for _ in range(levels - 2):
        value = wrap(value)
    return {"deep": value}


def task_id_of(exchange: Exchange) -> str:
    """The id in the answer to a submission.

    Raises Violation where that is no success, NoEvidence where it has no id.
    """
    size = len(exchange.sent)
    wanted = f"a success of a submission{f' of {size // 1000} kB' if size > LARGE else ''}"
    expect_status(exchange, range(200, 300), wanted)
    body = parse_body(exchange, wanted)
    task_id = body.get("task_id") if isinstance(body, dict) else None
    require_situation(
        isinstance(task_id, str) and bool(task_id),
        f"the answer has no task id, which is TASK-1's to say: {exchange.outcome}",
    )
    return str(task_id)


async def message_of(
    queue: Broker, exchange: Exchange, task_id: str, messages: Sequence[QueuedMessage] | None = None
) -> QueuedMessage:
    """The message of a task that no worker has taken, there now or a moment ago."""
    found = [
        message
        for message in (await queue.messages.list_messages() if messages is None else messages)
        if message.task_id == task_id
    ]
    if not found and queue.is_shared and await queue.clients.count_consumers():
        raise NoEvidence(
            "a worker of somebody else's takes the messages from the queue: stop it, "
            "or start it on a `conformance testbed`, or let the suite start it"
        )
    require(
        len(found) == 1,
        f"one message of task {task_id} in a Redis list",
        f"{len(found)} of them",
        [exchange, *found],
    )
    return found[0]


@pytest.mark.requirement("TASK-1")
@pytest.mark.parametrize(
    "data",
    [{"order": 7}, {}, {"q": None, "Größe": [1.5, {"nested": True}]}, {"text": "x" * 5000}],
    ids=range(4),
)
async def test_a_submission_answers_its_message_and_a_task_id(
    client: Client, data: dict[str, Any]
) -> None:
    expect_submitted(await client.post(PATH, data))


@pytest.mark.requirement("TASK-1")
async def test_a_submission_may_name_its_encoding(client: Client) -> None:
    expect_submitted(
        await client.post_bytes(PATH, '{"Größe": 7}'.encode(), "application/json; charset=utf-8")
    )


def expect_submitted(exchange: Exchange) -> None:
    """The message and an id."""
    wanted = '200 {"message": "Task submitted", "task_id": a text}'
    expect_status(exchange, (200,), wanted)
    body = parse_body(exchange, wanted)
    task_id = body.get("task_id") if isinstance(body, dict) else None
    require(isinstance(task_id, str) and bool(task_id), wanted, exchange.outcome, [exchange])
    expect(exchange, model.submission_answer(str(task_id)))


@pytest.mark.requirement("TASK-2")
async def test_every_submission_has_its_own_id(
    client: Client,
    capabilities: Capabilities,
    lifecycle: LifecycleObserver,
    submissions: Mapping[str, list[Exchange]],
) -> None:
    exchanges = await asyncio.gather(*(client.post(PATH, {"same": True}) for _ in range(20)))
    exchanges += [await client.post(PATH, {"same": True}) for _ in range(3)]
    task_ids = [task_id_of(exchange) for exchange in exchanges]
    seen = {task_id: list(exchanges) for task_id, exchanges in submissions.items()}
    if capabilities.stops_target:  # another process of the same service, on the same queue
        other = await lifecycle.observe(CrashAfterSubmit)
        with_id = seen.setdefault(task_id_of(other), [])
        with_id += [other] if other not in with_id else []
    for task_id in (*task_ids, *seen):
        with_it = seen[task_id]
        require(
            len(with_it) == 1,
            "an id that no other submission has",
            f"{task_id} {len(with_it)} times",
            with_it[:3],
        )


@pytest.mark.requirement("TASK-2")
@pytest.mark.stage("SCENARIOS")
async def test_no_id_is_given_again_after_a_restart_of_the_broker(
    lifecycle: LifecycleObserver, capabilities: Capabilities
) -> None:
    if not capabilities.starts_target:
        return
    given: dict[str, Exchange] = {}
    for outage in (await find_restarts(lifecycle)).broker:
        with_id = [each for each in outage.afterwards if find_task_id(each)]
        why = "no submission was given an id after a restart of the broker (TASK-11)"
        require_situation(bool(with_id), why)
        for exchange in with_id:
            task_id = task_id_of(exchange)
            before = given.get(task_id)
            require(
                before is None,
                "an id that no submission has had, also before the broker was restarted",
                f"{task_id} again",
                [*([before] if before else []), outage.gone, exchange],
            )
            given[task_id] = exchange


@pytest.mark.requirement("TASK-3")
@pytest.mark.worker("stopped")
async def test_the_task_is_in_the_queue_under_that_id_with_that_data(
    client: Client, queue: Broker
) -> None:
    data = {"order": 7, "note": "déjà vu", "lines": [{"sku": "a", "count": 2}], "nothing": None}
    exchange = await client.post(PATH, data)
    expect_argument(data, exchange, await message_of(queue, exchange, task_id_of(exchange)))


@pytest.mark.requirement("TASK-3")
@pytest.mark.worker("stopped")
@pytest.mark.stage("NO_WORKER_ANY_MORE")
async def test_it_is_there_for_the_last_of_many_as_for_the_first(
    client: Client, queue: Broker
) -> None:
    data = [{"late": number} for number in range(LATE)]
    exchanges = await asyncio.gather(*(client.post(PATH, each) for each in data))
    messages = await queue.messages.list_messages()
    for exchange, each in zip(exchanges, data, strict=True):
        expect_argument(
            each, exchange, await message_of(queue, exchange, task_id_of(exchange), messages)
        )


def expect_argument(data: Any, exchange: Exchange, message: QueuedMessage) -> None:
    """Expect the data among the arguments of a task.

    Raises NoEvidence where its message cannot be opened.
    """
    require_situation(
        message.arguments is not None,
        f"the message's content type is {message.content_type}, which the suite does not open",
    )
    given = _arguments(message.arguments)
    is_there = any(model.find_difference(data, argument) is None for argument in given)
    wanted = f"the data among the task's arguments: {model.format_value(data)}"
    require(is_there, wanted, model.format_value(given), [exchange, message])


def _arguments(body: Any) -> list[Any]:
    """The arguments in the body of a Celery message, protocol 2: [args, kwargs, embed]."""
    match body:
        case [list(args), dict(kwargs), *_]:
            return [*args, *kwargs.values()]
        case _:
            return []


@pytest.mark.requirement("TASK-4")
@pytest.mark.worker("stopped")
async def test_the_answer_does_not_wait_for_the_work(client: Client, queue: Broker) -> None:
    exchange = await client.post(PATH, {"patience": 0})
    task_id = task_id_of(exchange)
    _, seen = await queue.results.wait_for_result(task_id, limit=0)
    if not seen.is_pending and queue.is_shared and await queue.clients.count_consumers():
        raise NoEvidence(
            "a worker of somebody else's runs: stop it, "
            "or start it on a `conformance testbed`, or let the suite start it"
        )
    require(
        seen.is_pending,
        "no result of the task while no worker runs",
        seen.text,
        [exchange, seen],
    )


@pytest.mark.requirement("TASK-5")
@pytest.mark.worker("running")
async def test_the_workers_result_is_the_completion_message_with_the_data(
    client: Client,
    queue: Broker,
    worker: Worker,
    capabilities: Capabilities,
    lifecycle: LifecycleObserver,
) -> None:
    for data in ({"order": 8, "rush": True}, {"order": 9, "rush": False}):
        submission = await client.post(PATH, data)
        expect_value(model.task_result(data), *await completed(submission, queue, worker))
    if not capabilities.stops_target:
        return
    with suppress(NoEvidence):  # a copy that does not start is no matter of the worker's
        submission = await lifecycle.observe(CrashAfterSubmit)
        value, seen = await queue.results.wait_for_result(task_id_of(submission), worker.deadline)
        if (
            seen.is_success
        ):  # of a submission that came while no worker ran, so that nobody else has stored it
            expect_value(model.task_result(json.loads(submission.sent)), value, submission, seen)


@pytest.mark.requirement("TASK-6")
@pytest.mark.worker("running")
@settings(max_examples=timeouts.EXAMPLES_THROUGH_THE_WORKER)
@given(data=strategies.json_objects)
@example(
    data={
        "text": AWKWARD_TEXT + "\x00",
        "": None,
        "nested": {"deep": [[[{}], []]]},
        "big": [2**53 + 1, 10**26 + 7],
        "half": 0.5,
    }
)
@example(data={"digits": 10**999 + 7, "text": "x" * 200_000})
@example(
    data={
        "zip": "00501",
        "card": "4111111111111111",
        "half": "0.50",
        "million": "1e6",
        "names": ["NaN", "Infinity", "true", "null", "-0"],
    }
)  # texts that look like something else
@example(data=nested(LEVELS, lambda value: [value]))
@example(data=nested(LEVELS - 1, lambda value: {"in": value}))
@example(data={})
@example(
    data={"chair": {"__type__": "chair", "legs": 4}, "price": {"__value__": 1}}
)  # near what kombu's decoder takes
async def test_data_survives_exactly(
    client: Client, queue: Broker, worker: Worker, data: dict[str, Any]
) -> None:
    value, exchange, seen = await completed(await client.post(PATH, data), queue, worker)
    expect_value(data, value.get("data") if isinstance(value, dict) else value, exchange, seen)


@pytest.mark.requirement("TASK-7")
@pytest.mark.worker("running")
async def test_the_queue_outlives_the_web_process(
    lifecycle: LifecycleObserver, queue: Broker, worker: Worker
) -> None:
    await completed(await lifecycle.observe(CrashAfterSubmit), queue, worker)


@pytest.mark.requirement("TASK-7")
@pytest.mark.stage("SCENARIOS")
async def test_the_worker_needs_no_web_process(
    lifecycle: LifecycleObserver, capabilities: Capabilities
) -> None:
    if not capabilities.starts_target:
        return
    alone = await find_worker_alone(lifecycle)
    evidence = [alone.submission, alone.killed, alone.result.seen, *alone.result.evidence]
    require(
        alone.result.seen.is_success,
        "the task's result from a worker that was started when no web process ran any more",
        alone.result.seen.text,
        evidence,
    )
    wanted = model.task_result(json.loads(alone.submission.sent))
    expect_value(wanted, alone.result.value, alone.submission, alone.result.seen)


async def find_restarts(lifecycle: LifecycleObserver) -> RestartsObserved:
    """What was observed of restarts. Raises NoEvidence where there was no copy for it."""
    observed = await lifecycle.observe(BrokerUnreachable)
    if observed.restarts is None:
        raise NoEvidence("a copy that has its broker does not start either (LIFE-10)")
    return observed.restarts


async def find_worker_alone(lifecycle: LifecycleObserver) -> WorkerAlone:
    """What a worker did after its web process. Raises NoEvidence where there was none."""
    alone = (await find_restarts(lifecycle)).worker
    if isinstance(alone, NoEvidence):
        raise alone
    return alone


async def completed(
    exchange: Exchange, queue: Broker, worker: Worker, deadline: float | None = None
) -> tuple[Any, Exchange, TaskResult]:
    """The result of a submission's task, with its evidence.

    Raises Violation where it does not succeed in time.
    """
    if worker.timed_out:
        raise worker.timed_out
    value, seen = await queue.results.wait_for_result(
        task_id_of(exchange), deadline or worker.deadline
    )
    if seen.is_success:
        worker.note_result()
        return value, exchange, seen
    failure = Violation(
        "the task's result from the worker", seen.text, [exchange, seen, *worker.read_last_lines()]
    )
    if not seen.is_failure:
        worker.timed_out = failure
    raise failure


def expect_value(wanted: Any, value: Any, exchange: Exchange, seen: TaskResult) -> None:
    """A value of a result is what was wanted."""
    if found := model.find_difference(wanted, value):
        raise Violation(
            model.format_value(wanted), f"{model.format_value(value)} — {found}", [exchange, seen]
        )


@pytest.mark.requirement("TASK-8")
@pytest.mark.worker("stopped")
@pytest.mark.parametrize("content", NO_OBJECTS.values(), ids=NO_OBJECTS.keys())
async def test_a_body_that_is_no_json_object_is_rejected_and_queues_nothing(
    client: Client, queue: Broker, content: bytes
) -> None:
    foreign = queue.is_shared and await queue.clients.count_consumers()
    require_situation(
        not foreign, "a worker of somebody else's takes the messages from the queue: stop it"
    )
    before = {message.task_id for message in await queue.messages.list_messages()}
    exchange = await client.post_bytes(PATH, content)
    queued = [
        message for message in await queue.messages.list_messages() if message.task_id not in before
    ]
    expect_status(exchange, range(400, 500), "a status from 400 to 499", *queued)
    require(not queued, "no message queued", f"{len(queued)} messages", [exchange, *queued])


@pytest.mark.requirement("TASK-19")
@pytest.mark.worker("stopped")
async def test_values_that_json_cannot_carry_are_no_error_of_the_services(
    client: Client, queue: Broker
) -> None:
    before = {message.task_id for message in await queue.messages.list_messages()}
    objects = [await client.post_bytes(PATH, content) for content in ODD_OBJECTS]
    values = [await client.post_bytes(PATH, content) for content in ODD_VALUES]
    messages = await queue.messages.list_messages()
    queued = [message for message in messages if message.task_id not in before]
    for exchange in values:
        wanted = f"a status from 400 to 499 of the body {exchange.sent!r}"
        expect_status(exchange, range(400, 500), wanted)
    for exchange in objects:
        wanted = f"200 or a status from 400 to 499 of the body {exchange.sent!r}"
        expect_status(exchange, (200, *range(400, 500)), wanted)
    accepted = [exchange for exchange in objects if exchange.status == 200]
    for exchange in accepted:
        await message_of(queue, exchange, task_id_of(exchange), queued)
    require(
        len(queued) == len(accepted),
        f"{len(accepted)} messages of the {len(accepted)} bodies that were accepted",
        f"{len(queued)} messages",
        [*objects, *values, *queued],
    )


@pytest.mark.requirement("TASK-9")
@pytest.mark.worker("stopped")
async def test_no_success_without_a_queued_task(client: Client, queue: Broker) -> None:
    require_situation(
        queue.access.user is not None,
        "the target's Redis user is not ours to restrict: "
        "start it on a `conformance testbed`, or let the suite start it",
    )
    before = {message.task_id for message in await queue.messages.list_messages()}
    async with queue.faults.writes_refused():
        refused = await client.post(PATH, {"accepted": False})
        queued = [
            message
            for message in await queue.messages.list_messages()
            if message.task_id not in before
        ]
    require_situation(
        refused.answered,
        "the submission has no answer in time, which is another requirement's to say: "
        f"{refused.summary}",
    )
    require(
        not queued,
        "no message queued while the broker refuses writes",
        f"{len(queued)} messages",
        [refused, *queued],
    )
    expect_status(
        refused,
        [*range(100, 200), *range(300, 600)],
        "any answer but 2xx while the broker refuses writes",
    )
    accepted = await client.post(PATH, {"accepted": True})
    await message_of(queue, accepted, task_id_of(accepted))
    late = [
        message
        for message in await queue.messages.list_messages()
        if {"accepted": False} in _arguments(message.arguments)
    ]
    require(
        not late,
        "what was refused not queued later",
        f"{len(late)} messages",
        [refused, accepted, *late],
    )


# At the level SHOULD: what becomes of a submission, its message and its worker when something fails

BULK: dict[str, list[dict[str, Any]]] = {
    "records": [{}] * 150_000
}  # long in execution: kombu looks at each object when it decodes them
WAITING = 10  # submissions that wait behind it
TOO_QUICK = "the task was done before it could be looked at"
HOSTILE = {
    "600 levels of nesting": b'{"deep": ' + b"[" * 600 + b"]" * 600 + b"}",
    "a type of the decoder's own": b'{"a": {"__type__": "nope", "__value__": 1}}',
    "the same in a list": b'{"a": [[{"b": [{"__type__": "nope", "__value__": 1}]}]]}',
}


@pytest.mark.requirement("TASK-10")
@pytest.mark.stage("NO_WORKER_ANY_MORE")
@pytest.mark.injects_fault
async def test_an_unreachable_broker_is_503_in_bounded_time(
    client: Client, queue: Broker, lifecycle: LifecycleObserver
) -> None:
    await taken(client)
    async with client.in_flight() as send, queue.faults.logins_refused() as fact:
        exchange = await send.post(PATH, {"reached": False}).wait_for_answer(
            timeouts.REFUSAL_DEADLINE
        )
    expect_unavailable(exchange, "while the broker refuses the service", fact)
    submission = (await lifecycle.observe(BrokerUnreachable)).submission
    if submission is None:
        raise NoEvidence("the service does not start without a broker (TASK-17)")
    expect_unavailable(submission.exchange, "while nothing listens at the broker's address")


def expect_unavailable(exchange: Exchange, when: str, *also: Fact) -> None:
    """503 with a JSON body, in time."""
    wanted = f"503 with a JSON body within {timeouts.REFUSAL_DEADLINE:.0f} s {when}"
    expect_status(exchange, (503,), wanted, *also)
    parse_body(exchange, wanted, *also)


async def taken(client: Client) -> None:
    """Expect a submission to succeed while the broker is well.

    Raises NoEvidence where it does not. TASK-1 judges that.
    """
    exchange = await client.post(PATH, {"well": True})
    require_situation(
        exchange.status in range(200, 300),
        f"a submission fails even while the broker is well: {exchange.summary}",
    )


async def expect_queued_as_usual(client: Client, queue: Broker) -> None:
    """Expect a submission to be answered 200, and to be queued, while the broker is well.

    Raises NoEvidence where it is not. TASK-1 and TASK-3 judge that.
    """
    exchange = await client.post(PATH, {"well": True})
    why = "a submission fails even while the broker is well (TASK-1)"
    require_situation(exchange.status == 200, f"{why}: {exchange.summary}")
    try:
        await message_of(queue, exchange, task_id_of(exchange))
    except Violation as violation:
        why = "a submission is not queued even while the broker is well (TASK-3)"
        raise NoEvidence(f"{why}: {violation.got}") from violation


@pytest.mark.requirement("TASK-11")
@pytest.mark.injects_fault
@pytest.mark.worker("stopped")
async def test_submissions_resume_after_a_broker_outage(
    client: Client, queue: Broker, target: Target
) -> None:
    await expect_queued_as_usual(client, queue)
    before = await queue.clients.count_rejections()
    async with client.in_flight() as send:
        async with queue.faults.logins_refused() as fact:
            submission = send.post(PATH, {"reached": False})
            await queue.clients.wait_for_rejections(before + 1, or_until=lambda: submission.is_done)
        refused = await submission.wait_for_answer(timeouts.REFUSAL_DEADLINE)
    for number in range(3):
        exchange = await client.post(PATH, {"again": number})
        expect_status(
            exchange,
            (200,),
            "200 of a submission once the broker lets the service in again",
            fact,
            refused,
        )
        await message_of(queue, exchange, task_id_of(exchange))
    if not target.is_alive:
        raise Violation("the same process after the outage", "it has ended", [fact, refused])


@pytest.mark.requirement("TASK-11")
@pytest.mark.stage("SCENARIOS")
@pytest.mark.worker("stopped")
async def test_submissions_resume_after_a_restart_of_the_broker(
    client: Client, queue: Broker, lifecycle: LifecycleObserver, capabilities: Capabilities
) -> None:
    if not capabilities.starts_target:
        return
    await expect_queued_as_usual(client, queue)
    for outage in (await find_restarts(lifecycle)).broker:
        facts = (outage.gone, outage.meanwhile)
        for exchange in outage.afterwards:
            wanted = "200 of a submission once the broker listens again, with nothing in memory"
            expect_status(exchange, (200,), wanted, *facts)
            task_id = task_id_of(exchange)
            found = [message for message in outage.messages if message.task_id == task_id]
            wanted = f"one message of task {task_id} in a Redis list of the new broker"
            require(len(found) == 1, wanted, f"{len(found)} of them", [exchange, *facts, *found])
        if not outage.is_alive:
            raise Violation("the same process after the outage", "it has ended", facts)


@pytest.mark.requirement("TASK-12")
@pytest.mark.stage("SCENARIOS")
async def test_the_worker_resumes_after_a_restart_of_the_broker(
    lifecycle: LifecycleObserver, capabilities: Capabilities
) -> None:
    if not capabilities.starts_target:
        return
    alone = await find_worker_alone(lifecycle)
    if alone.after_restart is None:
        raise NoEvidence(f"the worker did nothing before the restart: {alone.result.seen.text}")
    seen = alone.after_restart.seen
    require(
        seen.is_success,
        "the result of a task that is queued after the broker was restarted",
        seen.text,
        [seen, *alone.after_restart.evidence],
    )


@pytest.mark.requirement("TASK-12")
@pytest.mark.stage("WORKER_RECONNECTS")
@pytest.mark.injects_fault
@pytest.mark.worker("running")
async def test_the_worker_resumes_after_a_broker_outage(
    client: Client, queue: Broker, worker: Worker
) -> None:
    await works(
        client, queue, worker
    )  # the task is done with, so that what breaks is the connection and not the task
    cut = await queue.faults.end_connections()
    require_situation(
        cut.ended > 0, "the worker had no connection to the broker that could be ended"
    )
    await expect_to_go_on(client, queue, worker)
    before = await queue.clients.count_rejections()
    async with queue.faults.logins_refused():
        await queue.clients.wait_for_last_rejection(before, or_until=lambda: worker.has_ended)
    await expect_to_go_on(client, queue, worker)


async def expect_to_go_on(client: Client, queue: Broker, worker: Worker) -> None:
    """The worker completes what is submitted now."""
    exchange = await client.post(PATH, {"after": "an outage"})
    require_situation(
        exchange.status in range(200, 300),
        f"the submission fails after the outage (TASK-11): {exchange.summary}",
    )
    try:
        await completed(exchange, queue, worker, timeouts.RECONNECT_DEADLINE)
        await queue.messages.wait_until_acknowledged(task_id_of(exchange))
    except Violation:
        worker.kill()  # whether it hangs or has ended, it is not what the next probe is about
        raise


async def works(client: Client, queue: Broker, worker: Worker) -> None:
    """Expect the worker to be there and to do its work.

    Raises NoEvidence where it does not. Another requirement judges that.
    """
    try:
        exchange = await client.post(PATH, {"ready": True})
        await completed(exchange, queue, worker)
        await queue.messages.wait_until_acknowledged(task_id_of(exchange))
    except Violation as violation:
        worker.timed_out = None
        raise NoEvidence(
            f"the worker does not do its work even so (TASK-5): {violation.got}"
        ) from violation


@pytest.mark.requirement("TASK-13")
@pytest.mark.stage("WORKER_RESTARTS")
@pytest.mark.worker("running")
async def test_a_stopping_worker_loses_nothing(
    client: Client, queue: Broker, worker: Worker
) -> None:
    exchanges: list[Exchange] = []
    stopped: list[Fact] = []
    while not stopped:
        require_situation(len(exchanges) < timeouts.LOOKED_AWAY * (1 + WAITING), TOO_QUICK)
        worker.start()
        await works(
            client, queue, worker
        )  # so that nothing is left of what came before, over whose acknowledgement it would wait
        worker.kill()
        exchanges += [
            await submit_bulk(client),
            *[await client.post(PATH, {"waits": number}) for number in range(WAITING)],
        ]
        worker.start()
        long, next_one = (task_id_of(exchange) for exchange in exchanges[-WAITING - 1 :][:2])
        seen = await in_hand(queue, long, next_one)
        worker.note_result()
        asked = [] if seen[0].done else await asked_to_stop_while_it_stores(queue, worker, long)
        ended = worker.stop()
        stopped = [*asked, *ended] if asked else []
    worker.start()
    for exchange in exchanges:
        _, result = await queue.results.wait_for_result(
            task_id_of(exchange), timeouts.FIRST_RESULT_DEADLINE
        )
        evidence = [exchange, *seen, *stopped, result]
        require(
            result.is_success,
            "a result of each task once a worker runs again",
            result.text,
            evidence,
        )


async def submit_bulk(client: Client) -> Exchange:
    """Submit what is long in execution.

    Raises NoEvidence where it is refused: what becomes of a task is not about its size.
    """
    exchange = await client.post(PATH, BULK)
    size = len(exchange.sent) // 1000
    refused = f"a body of {size} kB is refused, so no long task can be had: {exchange.outcome}"
    require_situation(exchange.status in range(200, 300), refused)
    return exchange


async def asked_to_stop_while_it_stores(queue: Broker, worker: Worker, task_id: str) -> list[Fact]:
    """Send the worker SIGTERM while the broker keeps it from storing a large result.

    Returns what was seen; nothing where it had stored the result before. Until the process that
    executes tasks has all of a task, Celery 5.7 may hang over SIGTERM, and with it a service that
    does nothing wrong.
    """
    size = len(json.dumps(BULK, separators=(",", ":")))
    async with queue.faults.writes_stalled():
        held = await queue.clients.wait_for_large_write(size)
        _, result = await queue.results.wait_for_result(task_id, limit=0.0)
        if result.is_success:
            return []
        asked = await asyncio.to_thread(worker.ask_to_stop)
        if (
            worker.has_ended
        ):  # what it had sent would be carried out, had the server not seen yet that it is gone
            await queue.clients.wait_until_no_large_write(size)
        return [held, *asked]


async def in_hand(queue: Broker, long: str, next_one: str) -> list[TaskLocation]:
    """Where two tasks are as soon as the first is in execution, or done.

    Raises NoEvidence where the worker takes none. A worker that has a message still to decode holds
    it nowhere in Redis. It is past that once it keeps it, or has taken the next.
    """
    seen: list[TaskLocation] = []
    async for first in queue.messages.watch_task(long):
        seen = [first]
        if first.waiting:
            continue
        if first.done or first.kept:  # enough; by a second look a quick worker may be done
            break
        seen.append(await queue.messages.locate_task(next_one))
        if not seen[-1].waiting:
            break
    require_situation(
        bool(seen) and not seen[0].waiting,
        "the worker did not take the task from the queue",
    )
    return seen


@pytest.mark.requirement("TASK-14")
@pytest.mark.stage("WORKER_DIES")
@pytest.mark.worker("running")
async def test_a_task_in_execution_survives_its_worker(
    client: Client, queue: Broker, worker: Worker
) -> None:
    await works(client, queue, worker)
    wanted = "the task's message kept in Redis until the task is done"
    last: list[TaskLocation] = []
    for _ in range(timeouts.LOOKED_AWAY):
        exchange = await submit_bulk(client)
        last += (await looked_at_to_the_end(queue, task_id_of(exchange)))[-1:]
        if last and last[-1].kept:
            break
    require_situation(
        len(last) == timeouts.LOOKED_AWAY or (bool(last) and last[-1].kept), TOO_QUICK
    )
    require(last[-1].kept, wanted, last[-1].text, [exchange, *last])
    for _ in range(timeouts.LOOKED_AWAY):
        exchange = await submit_bulk(client)
        seen = await kept(queue, task_id_of(exchange))
        if not seen.done:
            break
    require_situation(not seen.done, TOO_QUICK)
    killed = worker.kill()
    after = await queue.messages.locate_task(task_id_of(exchange))
    require(
        after.kept or after.done,
        wanted,
        after.text,
        [exchange, seen, *killed, after],
    )


async def looked_at_to_the_end(queue: Broker, task_id: str) -> list[TaskLocation]:
    """The last looks at a task before it was done, which agree; none where it was too quick.

    The last ones count, for a worker holds a message nowhere in Redis between taking it and keeping
    it as unacknowledged. That lasts longer the larger the message is (worst seen: 0.12 s), and is
    over before the task is in execution.
    """
    during = [
        seen
        async for seen in queue.messages.watch_task(task_id)
        if not seen.waiting and not seen.done
    ][-timeouts.LOOKS :]
    agree = len({seen.kept for seen in during}) == 1
    return during if len(during) == timeouts.LOOKS and agree else []


async def kept(queue: Broker, task_id: str) -> TaskLocation:
    """Wait until a message that was taken is kept as unacknowledged, or its task is done."""
    async for seen in queue.messages.watch_task(task_id):
        if seen.done or (seen.kept and not seen.waiting):
            break
    return seen


@pytest.mark.requirement("TASK-15")
@pytest.mark.worker("stopped")
async def test_messages_are_json(client: Client, queue: Broker) -> None:
    exchange = await client.post(PATH, {"plain": True})
    message = await message_of(queue, exchange, task_id_of(exchange))
    wanted = "a message of content type application/json"
    require(
        message.content_type == "application/json",
        wanted,
        str(message.content_type),
        [exchange, message],
    )


@pytest.mark.requirement("TASK-15")
@pytest.mark.worker("running")
async def test_results_expire(client: Client, queue: Broker, worker: Worker) -> None:
    _, exchange, result = await completed(
        await client.post(PATH, {"for": "a while"}), queue, worker
    )
    seen = await queue.results.check_lifetime(task_id_of(exchange))
    require(
        seen.seconds > 0,
        "a result with a time to live",
        seen.text,
        [exchange, result, seen],
    )


@pytest.mark.requirement("TASK-16")
@pytest.mark.injects_fault
@pytest.mark.worker("running")
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_data_neither_kills_the_worker_nor_vanishes(
    client: Client, queue: Broker, worker: Worker, content: bytes
) -> None:
    await works(client, queue, worker)
    exchange = await client.post_bytes(PATH, content)
    expect_status(
        exchange, range(200, 500), "a status from 400 to 499, or a success and then a result"
    )
    async with without_leftovers(exchange, queue, worker):
        if exchange.status in range(200, 300):
            await completed(exchange, queue, worker)
        after = await client.post(PATH, {"after": "hostile data"})
        _, result = await queue.results.wait_for_result(task_id_of(after), worker.deadline)
        require(
            result.is_success,
            "a worker that goes on",
            result.text,
            [exchange, after, result, *worker.read_last_lines()],
        )


@asynccontextmanager
async def without_leftovers(
    exchange: Exchange, queue: Broker, worker: Worker
) -> AsyncIterator[None]:
    """Take a task out of the queue that the worker cannot bear, before the next worker meets it."""
    try:
        yield
    except Violation:
        worker.kill()
        if exchange.status in range(200, 300):
            await queue.messages.remove_task(task_id_of(exchange))
        raise


@pytest.mark.requirement("TASK-17")
@pytest.mark.stage("SCENARIOS")
async def test_the_web_process_starts_without_a_broker(
    lifecycle: LifecycleObserver,
) -> None:
    observed = await lifecycle.observe(BrokerUnreachable)
    if observed.failure:
        await lifecycle.observe(GracefulStop)  # a copy that has its broker starts
        raise observed.failure
    assert observed.answer
    expect_status(observed.answer, (200,), "200 of /async of a service whose broker refuses it")


@pytest.mark.requirement("TASK-18")
@pytest.mark.worker("stopped")
@pytest.mark.parametrize("name", ["NaN", "a megabyte", "two members of one name"])
async def test_bodies_that_json_leaves_open(
    client: Client, queue: Broker, observe: Callable[..., None], name: str
) -> None:
    bodies = {
        "NaN": b'{"a": NaN}',
        "a megabyte": json.dumps({"a": "x" * 2**20}).encode(),
        "two members of one name": b'{"a": 1, "a": 2}',
    }
    before = {message.task_id for message in await queue.messages.list_messages()}
    exchange = await client.post_bytes(PATH, bodies[name])
    queued = [
        message for message in await queue.messages.list_messages() if message.task_id not in before
    ]
    what = (
        f", and {model.format_value(_arguments(queued[0].arguments), 60)} is queued"
        if queued
        else ", and nothing is queued"
    )
    observe(f"{name}: {exchange.status}{what}", exchange, *queued)
