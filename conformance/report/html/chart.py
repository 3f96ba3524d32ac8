"""The chart: a timeline drawn as lanes of SVG, and the same as a list to read."""

from collections.abc import Sequence

from conformance.report.html.markup import Markup, Translator, element
from conformance.report.html.timeline import Mark, Timeline

ROW = 7  # pixels from one bar to the next
BAR = 5  # of them, the bar itself
MOMENT = 15  # the height of a lane that has moments alone
NARROWEST = 0.35  # percent of the width, so that a bar of a millisecond can be seen among seconds
NAMED_LENGTH = 500  # characters of an event that the finding names
LENGTH = 160  # of another
STEPS = 5  # at most, on the axis


def draw_chart(timeline: Timeline, say: Translator) -> Markup:
    """The figure."""
    length = max(timeline.ended - timeline.began, 1e-6)
    steps = _choose_steps(length)
    numbered = list(enumerate(timeline.marks))
    lanes = [
        _draw_lane(
            say(lane),
            [(n, mark) for n, mark in numbered if mark.lane == lane],
            timeline.began,
            length,
            steps,
        )
        for lane in timeline.lanes
    ]
    about = say(
        "from {began} s into the run, {length} long",
        began=f"{timeline.began:.3f}",
        length=format_duration(length),
    )
    if timeline.left_out:
        about += "; " + say("{count} more events are in the record", count=timeline.left_out)
    return element(
        "figure",
        element("figcaption", element("b", say("Timeline")), " ", about),
        element("div", lanes, _draw_axis(length, steps), class_="lanes", aria_hidden="true"),
        _draw_legend(timeline, say),
        element(
            "p", say("Hover over a bar or a mark to read it."), class_="hint", aria_hidden="true"
        ),
        element(
            "details",
            element("summary", say("Show all {count} events", count=len(timeline.marks))),
            element(
                "ol",
                (_describe_event(mark, timeline.began, say) for mark in timeline.marks),
                class_="facts",
            ),
            class_="reading",
        ),
        class_="timeline",
    )


def _draw_legend(timeline: Timeline, say: Translator) -> Markup:
    """What the shapes mean that are used."""
    marks = timeline.marks
    meanings = (
        ("", any(mark.ended is not None for mark in marks), say("from a request to its answer")),
        ("open", any(mark.is_unanswered for mark in marks), say("no complete answer")),
        ("moment", any(mark.ended is None for mark in marks), say("single event")),
        ("named", any(mark.is_named for mark in marks), say("evidence of the finding")),
    )
    return element(
        "p",
        (element("span", text, class_=name or None) for name, there, text in meanings if there),
        class_="legend",
        aria_hidden="true",
    )


def format_duration(seconds: float) -> str:
    """A length of time for a person."""
    if seconds < 0.9995:  # which 3 digits would show as 1e+03
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.4g} s" if seconds < 1000 else f"{seconds:.0f} s"


def _draw_lane(
    name: str,
    marks: Sequence[tuple[int, Mark]],
    began: float,
    length: float,
    steps: Sequence[float],
) -> Markup:
    rows = max((mark.row for _, mark in marks), default=0)
    height = max(MOMENT, (rows + 1) * ROW + 4)
    grid = (
        element(
            "line",
            x1=_format_percent(step / length),
            x2=_format_percent(step / length),
            y1=0,
            y2=height,
        )
        for step in steps
    )
    shapes = (_draw_shape(number, mark, began, length, height) for number, mark in marks)
    return element(
        "div", element("span", name), element("svg", grid, shapes, height=height), class_="lane"
    )


def _draw_shape(number: int, mark: Mark, began: float, length: float, height: int) -> Markup:
    kinds = ("named" if mark.is_named else "", "open" if mark.is_unanswered else "")
    more = {"class": " ".join(filter(None, kinds)) or None, "data-n": number}
    start = (mark.began - began) / length
    if mark.ended is None:
        return element(
            "rect",
            x=_format_percent(start * (1 - NARROWEST / 100)),
            y=2,
            width=2,
            height=height - 4,
            **more,
        )
    wide = max((mark.ended - mark.began) / length, NARROWEST / 100)
    return element(
        "rect",
        x=_format_percent(min(start, 1 - wide)),
        y=2 + mark.row * ROW,
        width=_format_percent(wide),
        height=BAR,
        **more,
    )


def _draw_axis(length: float, steps: Sequence[float]) -> Markup:
    labels = (
        element(
            "text", format_duration(step) if step else "0", x=_format_percent(step / length), y=12
        )
        for step in steps
    )
    return element("div", element("span"), element("svg", labels, height=16), class_="lane axis")


def _choose_steps(length: float) -> list[float]:
    """Round times from 0 on, as many as fit. The last tenth is left free for a label."""
    for power in range(-6, 6):
        for step in (10.0**power, 2 * 10.0**power, 5 * 10.0**power):
            if length * 0.9 / step <= STEPS:
                return [number * step for number in range(int(length * 0.9 / step) + 1)]
    return [0.0]


def _describe_event(mark: Mark, began: float, say: Translator) -> Markup:
    limit = NAMED_LENGTH if mark.is_named else LENGTH
    return element(
        "li",
        element("time", f"+{format_duration(mark.began - began)}"),
        element("b", say(mark.lane)),
        element("span", say.cut(mark.text, limit)),
        class_="named" if mark.is_named else None,
    )


def _format_percent(share: float) -> str:
    return f"{share * 100:.2f}%"
