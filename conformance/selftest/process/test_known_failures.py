"""Known failures: they do not count and are never hidden. A wrong list of them is a failure."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from conformance.config.options import Options, read_options
from conformance.core.errors import WrongUsage
from conformance.judging.claim import make_claim
from conformance.judging.judge import exit_status
from conformance.judging.known_failures import find_wrong_entries, mark_known_failures
from conformance.judging.result import Finding, KnownFailure, Mistake, RequirementResult
from conformance.judging.verdict import Exit, Status
from conformance.report.record_reader import read_record
from conformance.selftest.support.record_schema import expect_valid
from conformance.selftest.support.suite import SERVICES, Finished, judge
from conformance.spec.catalogue import Channel, Level, Requirement, catalogue

DB_2, DB_3 = catalogue()["DB-2"], catalogue()["DB-3"]
SHOULD = Requirement(
    "DB-99", "s", Level.SHOULD, "§3", (Channel.HTTP,), "t", "w", "u", "m", "3-database.md", 1
)
CATALOGUE = {each.id: each for each in (DB_2, DB_3, SHOULD)}
WRONG = Finding("200", "404")
TODAY = date(2026, 11, 24)
LISTED = KnownFailure("DB-2", "issue 112")


def verdicts(**statuses: Status) -> list[RequirementResult]:
    """Verdicts on all three requirements, which pass but for those that are given."""
    given = {name.replace("_", "-"): status for name, status in statuses.items()}
    return [
        RequirementResult.of(each, given.get(each.id, Status.PASS), WRONG)
        for each in CATALOGUE.values()
    ]


def fails(*names: str) -> list[RequirementResult]:
    """Verdicts of which these fail."""
    return verdicts(**dict.fromkeys((name.replace("-", "_") for name in names), Status.FAIL))


# The rules


@pytest.mark.parametrize(
    ("entry", "is_known"),
    [
        (LISTED, True),
        (KnownFailure("DB-2", "r", date(2026, 11, 24)), True),
        (KnownFailure("DB-2", "r", date(2026, 11, 23)), False),
        (KnownFailure("DB-2", "r", None, WRONG.fingerprint), True),
        (KnownFailure("DB-2", "r", None, "00000000"), False),
        (KnownFailure("DB-3", "r"), False),
    ],
)
def test_a_failure_is_known_until_its_day_is_over_and_as_long_as_it_is_the_same(
    entry: KnownFailure, is_known: bool
) -> None:
    (verdict, *others) = mark_known_failures(fails("DB-2"), [entry], TODAY)
    assert (verdict.status, verdict.known) == (Status.FAIL, entry if is_known else None)
    assert not any(other.known for other in others)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.FAIL}))
def test_nothing_but_a_failure_is_known(status: Status) -> None:
    assert not any(
        verdict.known for verdict in mark_known_failures(verdicts(DB_2=status), [LISTED], TODAY)
    )


@pytest.mark.parametrize(
    ("entry", "status", "mistake", "sentence"),
    [
        (
            LISTED,
            Status.PASS,
            Mistake.STALE,
            "DB-2 is listed as a known failure and passed: remove the entry",
        ),
        (
            KnownFailure("DB-2", "r", date(2020, 1, 1)),
            Status.PASS,
            Mistake.STALE,
            "DB-2 is listed as a known failure and passed: remove the entry",
        ),
        *(
            (
                KnownFailure("DB-2", "r", date(2026, 11, 23)),
                status,
                Mistake.EXPIRED,
                (
                    "DB-2 is listed as a known failure until 2026-11-23, which has passed:"
                    " fix it, or give the entry another date"
                ),
            )
            for status in (Status.FAIL, Status.INCONCLUSIVE, Status.NOT_APPLICABLE)
        ),
        (
            KnownFailure("DB-2", "r", None, "00000000"),
            Status.FAIL,
            Mistake.CHANGED,
            (
                f"DB-2 is listed as a known failure with the fingerprint 00000000, but has"
                f" {WRONG.fingerprint}: see what else fails, and put that into the entry"
            ),
        ),
    ],
)
def test_an_entry_that_is_wrong_is_told_and_is_red(
    entry: KnownFailure, status: Status, mistake: Mistake, sentence: str
) -> None:
    judged = mark_known_failures(verdicts(DB_2=status), [entry], TODAY)
    (wrong,) = find_wrong_entries(judged, [entry], TODAY)
    assert (wrong.requirement, wrong.mistake, wrong.sentence) == ("DB-2", mistake, sentence)
    assert (
        exit_status(judged, Level.MUST, wrong_entries=[wrong], allow_inconclusive=True)
        is Exit.FAILED
    )


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        (LISTED, Status.FAIL),
        (KnownFailure("DB-2", "r", date(2026, 11, 24), WRONG.fingerprint), Status.FAIL),
        (LISTED, Status.INCONCLUSIVE),
        (LISTED, Status.NOT_APPLICABLE),
        (KnownFailure("DB-2", "r", None, "00000000"), Status.INCONCLUSIVE),
        (LISTED, Status.ERROR),
    ],
)
def test_an_entry_that_may_be_right_says_nothing(entry: KnownFailure, status: Status) -> None:
    assert not list(find_wrong_entries(verdicts(DB_2=status), [entry], TODAY))


def test_an_entry_of_what_was_not_selected_says_nothing() -> None:
    assert not list(
        find_wrong_entries(
            [RequirementResult.of(DB_3, Status.PASS)],
            [KnownFailure("DB-2", "r", date(2020, 1, 1))],
            TODAY,
        )
    )


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (fails("DB-2"), Exit.PASSED),
        (fails("DB-2", "DB-3"), Exit.FAILED),
        (verdicts(DB_2=Status.INCONCLUSIVE), Exit.NOT_ESTABLISHED),
        (verdicts(DB_2=Status.FAIL, DB_3=Status.INCONCLUSIVE), Exit.NOT_ESTABLISHED),
        (verdicts(DB_2=Status.ERROR), Exit.ERROR),
        (verdicts(DB_2=Status.FAIL, DB_3=Status.ERROR), Exit.ERROR),
    ],
)
def test_a_known_failure_does_not_count_and_all_else_does(
    judged: list[RequirementResult], expected: Exit
) -> None:
    assert exit_status(mark_known_failures(judged, [LISTED], TODAY), Level.SHOULD) is expected


EXCEPT = "core is established except for 1 known failure (DB-2): the other 1 MUST passed"


@pytest.mark.parametrize(
    ("failed", "listed", "claims", "sentence"),
    [
        (
            ["DB-2"],
            ["DB-2"],
            (None, "robust"),
            (
                f"{EXCEPT}; robust is established except for 1 known failure (DB-2):"
                " all 1 SHOULD passed"
            ),
        ),
        (
            ["DB-99"],
            ["DB-99"],
            ("core", "robust"),
            (
                "core is established: all 2 MUST passed; robust is established except for"
                " 1 known failure (DB-99): the other 0 SHOULD passed"
            ),
        ),
        (
            ["DB-2", "DB-99"],
            ["DB-2", "DB-99"],
            (None, "robust"),
            (
                f"{EXCEPT}; robust is established except for 2 known failures (DB-2, DB-99):"
                " the other 0 SHOULD passed"
            ),
        ),
        (
            ["DB-2", "DB-99"],
            ["DB-2"],
            (None, "core"),
            f"{EXCEPT}; robust is not: of 1 SHOULD 1 (DB-99) failed",
        ),
        (
            ["DB-2", "DB-3"],
            ["DB-2"],
            (None, None),
            "core is not established: of 2 MUST 1 (DB-3) failed and 1 (DB-2) failed as known",
        ),
    ],
)
def test_the_claim_says_its_exceptions_and_never_counts_one_as_passed(
    failed: list[str], listed: list[str], claims: tuple[str | None, str | None], sentence: str
) -> None:
    made = make_claim(
        mark_known_failures(fails(*failed), [KnownFailure(name, "r") for name in listed], TODAY),
        CATALOGUE,
    )
    assert ((made.name, made.name_with_exceptions), made.sentence) == (claims, sentence)
    assert made.exceptions == tuple(listed)


def test_without_exceptions_the_claim_is_the_same_but_for_them() -> None:
    made = make_claim(verdicts(), CATALOGUE)
    assert (made.name, made.exceptions, made.name_with_exceptions) == ("robust", (), "robust")


def test_a_part_of_the_catalogue_says_what_did_not_count() -> None:
    made = make_claim(
        mark_known_failures([RequirementResult.of(DB_2, Status.FAIL, WRONG)], [LISTED], TODAY),
        CATALOGUE,
    )
    assert (
        made.sentence
        == "no claim: 1 of 3 requirements were selected; 1 known failure (DB-2) not counted"
    )
    assert (made.name, made.name_with_exceptions) == (None, None)


# The file


def options(folder: Path, text: str, name: str = "conformance.toml") -> Options:
    """The options of a target in a folder whose file has this text."""
    (folder / name).write_text(text, "utf-8")
    return read_options({"--target-app": "shop:app"}, folder, catalogue())


NO_ID = ': id must be the id of a requirement, such as "DB-2", not '
NO_DATE = (
    ": the expiry of DB-2 must be a date such as 2027-03-01, "
    "without quotes and without a time, not "
)
NO_FINGERPRINT = (
    ': the fingerprint of DB-2 must be one that a report shows, such as "1a2b3c4d", not '
)
ENTRY = """
[[known-failures]]
id = "DB-2"
reason = "issue 112"
expires = 2027-03-01
fingerprint = "1a2b3c4d"
"""


def test_the_list_is_read_from_either_file(tmp_path: Path) -> None:
    listed = (KnownFailure("DB-2", "issue 112", date(2027, 3, 1), "1a2b3c4d"),)
    text = ENTRY.replace("known-failures", "tool.conformance.known-failures")
    assert options(tmp_path, text, "pyproject.toml").selection.known_failures == listed
    assert options(tmp_path, ENTRY).selection.known_failures == listed


def test_a_target_without_a_list_has_no_known_failures(tmp_path: Path) -> None:
    assert options(tmp_path, "").selection.known_failures == ()


def test_the_reference_is_not_judged_by_the_list_of_the_folder_that_one_stands_in(
    tmp_path: Path,
) -> None:
    (tmp_path / "conformance.toml").write_text(ENTRY, "utf-8")
    assert read_options({}, tmp_path, catalogue()).selection.known_failures == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            'known-failures = "DB-2"',
            " must be tables, each of which begins with [[known-failures]], not 'DB-2'",
        ),
        (
            'known-failures = ["DB-2"]',
            " must be tables, each of which begins with [[known-failures]], not ['DB-2']",
        ),
        (
            ENTRY.replace("id =", "requirement ="),
            ": unknown key 'requirement' (allowed: id, reason, expires, fingerprint)",
        ),
        (ENTRY.replace("DB-2", "DB-77"), f"{NO_ID}'DB-77'. See 'conformance list'"),
        (ENTRY.replace('"DB-2"', "2"), f"{NO_ID}2. See 'conformance list'"),
        (ENTRY.replace('id = "DB-2"', ""), f"{NO_ID}None. See 'conformance list'"),
        (
            ENTRY.replace("DB-2", "HTTP-6"),
            ": HTTP-6 is a MAY, which is observed and cannot fail; remove this entry",
        ),
        (
            ENTRY.replace('reason = "issue 112"', ""),
            ": the reason for DB-2 must be a text, not None",
        ),
        (ENTRY.replace("issue 112", " "), ": the reason for DB-2 must be a text, not ' '"),
        (ENTRY.replace('"issue 112"', "112"), ": the reason for DB-2 must be a text, not 112"),
        (ENTRY.replace("2027-03-01", '"2027-03-01"'), f"{NO_DATE}'2027-03-01'"),
        (
            ENTRY.replace("2027-03-01", "2027-03-01T00:00:00Z"),
            f"{NO_DATE}'2027-03-01 00:00:00+00:00'",
        ),
        (ENTRY.replace("1a2b3c4d", "1A2B3C4D"), f"{NO_FINGERPRINT}'1A2B3C4D'"),
        (ENTRY.replace('"1a2b3c4d"', "12345678"), f"{NO_FINGERPRINT}12345678"),
        (ENTRY + ENTRY, " must have one entry for a requirement; DB-2 has 2"),
    ],
)
def test_a_mistake_in_the_list_gets_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(WrongUsage) as caught:
        options(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'conformance.toml'}: known-failures{sentence}"


# End to end


def run(folder: Path, entries: Sequence[tuple[str, str]], *arguments: str) -> Finished:
    """Judge DEP-1, which the service fails, and END-2, which it passes, by a list."""
    text = "".join(
        f'[[known-failures]]\nid = "{name}"\nreason = "as agreed"\n{more}\n'
        for name, more in entries
    )
    (folder / "conformance.toml").write_text(text, "utf-8")
    return judge(
        folder,
        f"--target-app={SERVICES}:blocks",
        f"--target-dir={folder}",
        "--only",
        "DEP-1",
        "END-2",
        *arguments,
    )


def lines(finished: Finished, kind: str) -> list[dict[str, Any]]:
    """The lines of a record that are of this type."""
    return [line for line in finished.record if line["type"] == kind]


def test_a_known_failure_is_shown_as_such_everywhere_and_gives_status_0(place: Path) -> None:
    finished = run(place, [("DEP-1", "expires = 2999-12-31")], f"--junitxml={place / 'junit.xml'}")
    assert finished.status == 0, finished.output
    assert finished.verdicts == {"DEP-1": "FAIL", "END-2": "PASS"}
    assert (
        "FAIL (known)  §6.1\nknown         as agreed (until 2999-12-31)\nexpected      200"
        in finished.output
    )
    assert "6 Dependencies    0 of  1 passed, 1 FAIL (known)" in finished.output
    assert (
        f"no claim: 2 of {len(catalogue())} requirements were selected;"
        " 1 known failure (DEP-1) not counted" in finished.output
    )
    expect_valid(finished.record)
    (footer,) = lines(finished, "footer")
    assert (
        footer["claim"],
        footer["exceptions"],
        footer["wrong_entries"],
        footer["exit_status"],
    ) == (None, ["DEP-1"], [], 0)
    report = read_record(place / "record.jsonl")
    assert report.by_id["DEP-1"].known == KnownFailure("DEP-1", "as agreed", date(2999, 12, 31))
    assert (report.exceptions, report.by_id["END-2"].known, list(report.wrong_entries)) == (
        ("DEP-1",),
        None,
        [],
    )
    assert 'skipped="1"' in (place / "junit.xml").read_text("utf-8")
    assert 'failures="0"' in (place / "junit.xml").read_text("utf-8")


def test_a_list_that_is_wrong_gives_status_1_and_says_why(place: Path) -> None:
    finished = run(
        place,
        [("DEP-1", 'fingerprint = "00000000"'), ("END-2", ""), ("DB-2", "expires = 2020-01-01")],
    )
    assert finished.status == 1, finished.output
    (failed,) = [line for line in lines(finished, "verdict") if line["status"] == "FAIL"]
    assert failed["known"] is None
    assert f"\nfingerprint   {failed['finding']['fingerprint']}\n" in finished.output
    (footer,) = lines(finished, "footer")
    expect_valid(finished.record)
    assert [(each["requirement"], each["mistake"]) for each in footer["wrong_entries"]] == [
        ("DEP-1", "changed"),
        ("END-2", "stale"),
    ]
    assert (
        "\nstale         END-2 is listed as a known failure and passed: remove the entry\n"
        in finished.output
    )
    assert f"\nchanged       {footer['wrong_entries'][0]['sentence']}\n" in finished.output


def test_a_mistake_in_the_list_is_wrong_usage(place: Path) -> None:
    finished = run(place, [("DB-77", "")])
    assert (finished.status, finished.record) == (4, []), finished.output
    assert (
        f"ERROR: {place / 'conformance.toml'}: known-failures: id must be the id of a requirement"
        in finished.output
    )
