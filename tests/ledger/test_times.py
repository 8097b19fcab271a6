"""What people's answers took and cost, against a count by hand."""

from statistics import median

import numpy as np
import pytest

from dal_nlp.ledger.answer_events import FUNCTION, LISTED, MACHINE
from dal_nlp.ledger.events import AuditEvent, ConfigEvent, LabelEvent
from dal_nlp.ledger.state import State
from dal_nlp.ledger.times import money, people_time, seconds_of


def by_walking(times: list[float], idle: float) -> float:
    """One answer after the other: what is known of each, then the median in the place of what is not."""
    known, unknown, before = [], 0, None
    for now in sorted(times):
        if before is None or now - before > idle:
            unknown += 1
        elif now > before:
            known.append(now - before)
        before = now
    return sum(known) + unknown * median(known) if known else 0.0


@pytest.mark.parametrize("seed", range(20))
def test_pauses_are_left_out_and_the_first_answer_of_a_sitting_is_a_usual_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.choice([0, 3, 7, 40, 119, 120, 121, 9000], size=int(rng.integers(1, 30)))).tolist()
    assert seconds_of(times)[0] == pytest.approx(by_walking(times, 120))


def test_a_break_of_an_hour_costs_nothing() -> None:
    assert seconds_of([0, 10, 20, 3620, 3630]) == (10 * 3 + 10 * 2, 5)


def test_a_sheet_that_was_read_at_once_has_no_clock() -> None:
    assert seconds_of([5.0] * 30) == (0.0, 0)
    assert seconds_of([]) == (0.0, 0)


def state(**prices: float) -> State:
    """Anna answers every ten seconds, and a sheet brings two answers more."""
    ids = [str(i) for i in range(6)]
    found = State()
    found.apply(ConfigEvent(config={"training": {}, **prices}))
    found.apply(AuditEvent(ids=ids, texts=ids))
    for i, id in enumerate(ids):
        clock = f"2026-01-01T10:00:{10 * i:02d}+00:00" if i < 4 else "2026-01-02T10:00:00+00:00"
        by = "anna" if i < 4 else "sheet"
        found.apply(LabelEvent(id=id, target="positive", by=by, at=clock, via="page"))
    return found


def test_each_person_has_a_clock_of_its_own() -> None:
    time = people_time(state())
    assert time is not None and (time.seconds, time.answers, time.people) == (40.0, 4, 1)
    assert str(time) == "40.0 s on 4 answers"


def test_answers_of_a_list_are_as_many_as_they_are_and_share_their_time() -> None:
    found = State()
    found.apply(ConfigEvent(config={"training": {}}))
    found.apply(AuditEvent(ids=list("abcdefg"), texts=list("abcdefg")))
    for id, second, via in [*zip("ab", (0, 10), ("page", "page"), strict=True), *((id, 40, LISTED) for id in "cdefg")]:
        found.apply(LabelEvent(id=id, target="x", by="anna", at=f"2026-01-01T10:00:{second:02d}+00:00", via=via))
    time = people_time(found)
    assert time is not None and (time.seconds, time.answers) == (10 + 30 + 20, 7)


def test_machines_and_functions_are_no_people_and_a_machine_has_no_price_by_the_label() -> None:
    found = State()
    found.apply(ConfigEvent(config={"training": {}, "price_per_label": 0.5, "price_per_hour": 36}))
    found.apply(AuditEvent(ids=["0", "1", "2", "3"], texts=["0", "1", "2", "3"]))
    for i in range(4):
        via = MACHINE if i < 2 else FUNCTION
        found.apply(LabelEvent(id=str(i), target="a", by=via, at=f"2026-01-01T10:00:0{i}+00:00", via=via))
    assert people_time(found) is None and money(found) == 1.0


def test_prices_of_labels_and_of_hours_add_up() -> None:
    assert money(state()) is None
    assert money(state(price_per_label=0.5)) == 3.0
    assert money(state(price_per_label=0.5, price_per_hour=36)) == pytest.approx(3.0 + 40 * 0.01)
