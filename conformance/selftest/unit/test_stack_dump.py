"""Stack dumps: what `faulthandler` prints is read, and the line that blocks a loop is found."""

from pathlib import Path

from conformance.testbed.stack_dump import parse_dump

FOLDER = Path("/srv/shop")
LOOP = '  File "/usr/lib/python3.11/asyncio/base_events.py", line 1922 in _run_once'
BLOCKED = [
    "INFO:     Started server process [1]",
    "Stack (most recent call first):",
    '  File "/usr/lib/python3.11/socket.py", line 706 in recv_into',
    '  File "/srv/shop/lib/site-packages/requests/api.py", line 59 in get',
    '  File "/srv/shop/app.py", line 12 in fetch',
    '  File "/srv/shop/routes.py", line 40 in external',
    LOOP,
    '  File "/srv/shop/app.py", line 99 in <module>',
]


def test_the_innermost_line_of_the_folder_that_the_loop_has_called_is_found() -> None:
    dump = parse_dump(BLOCKED)
    frame = dump.find_blocking_frame(FOLDER)
    assert dump.is_whole
    assert frame
    assert (frame.file, frame.line, frame.function) == ("/srv/shop/app.py", 12, "fetch")


def test_a_loop_that_waits_is_not_blocked() -> None:
    lines = [
        "Stack (most recent call first):",
        '  File "/usr/lib/python3.11/selectors.py", line 468 in select',
        LOOP,
        '  File "/srv/shop/app.py", line 99 in <module>',
    ]
    assert parse_dump(lines).find_blocking_frame(FOLDER) is None


def test_a_stack_without_a_loop_blocks_none() -> None:
    lines = [BLOCKED[1], '  File "/srv/shop/app.py", line 3 in <module>']
    dump = parse_dump(lines)
    assert dump.is_whole
    assert dump.find_blocking_frame(FOLDER) is None


def test_a_dump_is_whole_once_its_outermost_frame_or_another_line_has_come() -> None:
    part = BLOCKED[1:5]
    assert not parse_dump(part).is_whole
    assert parse_dump([*part, "", "another line"]).is_whole
    assert not parse_dump(["nothing of the kind"]).is_whole
