"""The pace of answers."""

from dal_nlp.page.pace import AWAY, FEWEST, RECENT, Pace


def at(seconds: float) -> str:
    return f"2026-01-31T12:{int(seconds) // 60:02}:{int(seconds) % 60:02}+00:00"


def test_each_and_all_together() -> None:
    pace = Pace()
    for second in (0, 10, 20, 30):
        pace.note("anna", at(second))
        assert second >= 10 * FEWEST or pace.seconds("anna") is None
    for second in (35, 45, 55, 65):
        pace.note("ben", at(second))
    assert pace.seconds("anna") == pace.seconds("ben") == 10
    assert pace.seconds() == 65 / 7
    assert pace.seconds("nobody") is None


def test_pauses_and_times_that_are_none_count_for_nothing() -> None:
    pace, now = Pace(), 0.0
    for gap in (0.0, 6.0, 6.0, AWAY + 1, 6.0):
        now += gap
        pace.note("anna", at(now))
    pace.note("anna", "yesterday")
    assert pace.seconds("anna") == 6


def test_only_the_last_answers_count() -> None:
    pace = Pace()
    for second in (*range(0, 200, 20), *range(200, 200 + 2 * RECENT + 2, 2)):
        pace.note("anna", at(second))
    assert pace.seconds("anna") == 2
