"""The tables of faulty and of conforming services are complete, and say what they must."""

from collections import Counter

from conformance.selftest.conforming_services.table import (
    CONFORMING_SERVICES,
    CONFORMING_SERVICES_FOLDER,
)
from conformance.selftest.faulty_services import section_2, section_5, service
from conformance.selftest.faulty_services.table import (
    CONTROL,
    FaultyService,
    load_faulty_services,
)
from conformance.spec.catalogue import Level, catalogue


def find_row(name: str) -> FaultyService:
    """Return the row of this name."""
    (row,) = (each for each in load_faulty_services() if each.name == name)
    return row


def test_every_requirement_that_is_judged_has_two_services_made_for_it() -> None:
    made = Counter(row.fails[0] for row in load_faulty_services() if row.fails)
    judged = {
        name for name, requirement in catalogue().items() if requirement.level is not Level.MAY
    }
    assert {name for name in judged if made[name] < 2} == set()
    assert set(made) == judged


def test_every_row_but_the_control_says_for_what_reason_it_fails() -> None:
    assert [row.name for row in load_faulty_services() if not row.because] == ["correct"]


def test_the_first_row_is_a_control_that_fails_nothing() -> None:
    assert load_faulty_services()[0] == FaultyService(CONTROL, (), "")


def test_the_table_names_each_faulty_service_once() -> None:
    names = [row.name for row in load_faulty_services()]
    assert len(names) == len(set(names))


def test_rows_follow_the_catalogue_with_must_before_should() -> None:
    levels = [catalogue()[row.fails[0]].level for row in load_faulty_services()[1:]]
    assert levels == sorted(levels, key=[Level.MUST, Level.SHOULD].index)
    made_for = [row.fails[0] for row in load_faulty_services()[1:]]
    place = {name: number for number, name in enumerate(catalogue())}
    musts = made_for[: levels.count(Level.MUST)]
    assert musts == sorted(musts, key=lambda name: place[name])


def test_a_decorator_records_what_must_be_found_and_makes_the_application() -> None:
    assert isinstance(section_2.sync_has_one_member_more, service.Service)
    assert find_row("sync_has_one_member_more") == FaultyService(
        app="section_2:sync_has_one_member_more",
        fails=("END-1",),
        because=r"a member \"status\" that should not be",
        consequences=("HTTP-2",),
        inconclusive=("CONC-11",),
    )
    assert find_row("id_beyond_the_range_stops_the_process").after == ("DB-10",)


def test_a_worker_is_named_by_its_service_or_has_the_fault_itself() -> None:
    with_worker = find_row("messages_are_pickled")
    assert with_worker.app == "section_5:messages_are_pickled"
    assert with_worker.worker == "section_5:worker_that_takes_pickles"
    alone = find_row("worker_that_stays_away")
    assert (alone.app, alone.worker) == (CONTROL, "section_5:worker_that_stays_away")
    assert section_5.worker_that_stays_away.conf.broker_connection_retry is False


def test_every_conforming_service_claims_every_must_that_is_asked_of_it() -> None:
    for each in CONFORMING_SERVICES:
        unclaimed = [*each.inconclusive, *(missed.requirement for missed in each.not_claimed)]
        assert {catalogue()[name].level for name in unclaimed} <= {Level.SHOULD}, each.name
        sections = {catalogue()[missed.requirement].section for missed in each.outside}
        assert sections <= {7}, each.name


def test_every_folder_of_conforming_services_is_in_the_table() -> None:
    found = {path.name for path in CONFORMING_SERVICES_FOLDER.iterdir()} - {"__pycache__"}
    assert found == {each.folder for each in CONFORMING_SERVICES} | {
        "__init__.py",
        "table.py",
    }


def test_the_table_names_each_conforming_service_once() -> None:
    names = [each.name for each in CONFORMING_SERVICES]
    assert len(names) == len(set(names))
