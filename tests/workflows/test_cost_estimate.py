"""What a round will take, from what a part of it took; see also ``cli/test_check.py``."""

import pytest

from dal_nlp.workflows.cost_estimate import _line


def test_what_every_measurement_costs_alike_is_counted_once() -> None:
    # 0.9 s whatever the number of texts, and 0.01 s a text
    assert _line(0.98, 8, 1.54, 64, 1000) == pytest.approx(10.9)


@pytest.mark.parametrize(("few_seconds", "few"), [(2.0, 8), (1.54, 64)])
def test_where_no_line_rises_the_larger_measurement_is_a_rate(few_seconds: float, few: int) -> None:
    assert _line(few_seconds, few, 1.54, 64, 640) == pytest.approx(15.4)
