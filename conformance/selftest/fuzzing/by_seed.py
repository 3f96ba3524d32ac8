"""A service that is right for a while and odd for a while, as the seed in HOSTILE_SEED has it."""

import os
from typing import Any

from celery import current_task
from starlette.responses import Response

from conformance.selftest.faulty_services.service import (
    Receive,
    Scope,
    Send,
    Service,
    celery_application,
    completed,
)
from conformance.selftest.fuzzing.answers import BODIES, STATUSES, TYPES, read_document
from conformance.selftest.fuzzing.inputs import FAILED, META
from conformance.selftest.fuzzing.mutations import draw_encoded, make_draw
from conformance.selftest.hostile_services.services import open_redis

ODD = 0.2  # of all answers
SEED = os.environ.get("HOSTILE_SEED", "0")


class _Odd(Service):
    """Answers, prints and queues what its seed has it say."""

    def __init__(self) -> None:
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or say something odd."""
        self._count += 1
        draw = make_draw(SEED, self._count)
        is_start = self._count < 5  # it must become ready
        if scope["type"] != "http" or is_start or draw.random() > ODD:
            await super().__call__(scope, receive, send)
            return
        body = draw_encoded(draw, draw.choice((*BODIES, read_document())))
        print(body[:1000].decode("latin-1"), flush=True)
        if scope["path"] == "/process-data/":
            with open_redis() as client:
                client.lpush(draw.choice(("celery.odd", "odd")), body)
        headers = {
            "content-type": draw.choice(TYPES[:-1]),
            "x-odd": draw.choice(("a", "\xe9", "\xff")),
        }
        response = Response(body, draw.choice((*STATUSES[:7], 500)), headers)
        await response(scope, receive, send)


def _complete(data: Any) -> Any:
    """Store something odd now and then, in place of a result."""
    draw = make_draw(SEED, data)
    task_id = current_task.request.id
    stored = draw_encoded(draw, META if draw.random() < 0.7 else FAILED)
    with open_redis() as client:
        if draw.random() < 0.2:
            client.rpush(f"celery-task-meta-{task_id}", stored)
        else:
            client.set(f"celery-task-meta-{task_id}", stored)
    return completed(data)


app = _Odd()
worker = celery_application(_complete, task_ignore_result=True)
