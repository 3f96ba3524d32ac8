"""Not applicable: requirements on FastAPI's routes, for a target that has none to read."""

import sys
from pathlib import Path
from xml.etree import ElementTree

from conformance.selftest.support.suite import judge

SOURCE = ("END-6", "DEP-9")
PLAIN = """\
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})
"""
SHY = """\
import sys

from fastapi import FastAPI

if "uvicorn" not in sys.modules:
    raise RuntimeError("this can be imported by a server alone")
app = FastAPI()


@app.get("/async")
async def read():
    return {"message": "This is an asynchronous endpoint"}
"""


def judge_file(place: Path, text: str) -> dict[str, tuple[str, str]]:
    """The verdicts on an application in a file, and why they are no passes, by id."""
    (place / "shop.py").write_text(text, "utf-8")
    given = ("--target-app=shop:app", f"--target-dir={place}", "--only", *SOURCE)
    lines = judge(place, *given).record
    verdicts = [line for line in lines if line["type"] == "verdict"]
    return {line["requirement"]: (line["status"], line["finding"]["got"]) for line in verdicts}


def test_a_command_has_no_routes_that_can_be_read(place: Path) -> None:
    command = f"{sys.executable} -m uvicorn reference_impl.app:app --host {{host}} --port {{port}}"
    junit = place / "junit.xml"
    given = ("--target-command", command, "--only", *SOURCE, "END-2", f"--junitxml={junit}")
    finished = judge(place, *given)
    assert finished.verdicts == {
        "END-2": "PASS",
        "END-6": "NOT_APPLICABLE",
        "DEP-9": "NOT_APPLICABLE",
    }
    assert finished.status == 0
    assert "because       the target is not a FastAPI application" in finished.output
    assert "1 passed, 2 NOT APPLICABLE in " in finished.output
    skipped = ElementTree.parse(junit).iter("skipped")  # noqa: S314 - our own file
    assert ["NOT APPLICABLE: the target is not" in each.attrib["message"] for each in skipped] == [
        True,
        True,
    ]


def test_an_application_without_routes_has_none_that_could_be_wrong(place: Path) -> None:
    reason = "the application is not made with FastAPI: it has no attribute `routes`"
    for status, got in judge_file(place, PLAIN).values():
        assert status == "NOT_APPLICABLE"
        assert got.startswith(reason)


def test_routes_that_cannot_be_read_this_time_are_inconclusive(place: Path) -> None:
    for verdict in judge_file(place, SHY).values():
        assert verdict == (
            "INCONCLUSIVE",
            (
                "the application's routes could not be read:"
                " RuntimeError: this can be imported by a server alone"
            ),
        )
