"""What a round will take, from what a part of it took; see also ``cli/test_check.py``."""

from typing import cast

import pytest

from dal_nlp.ledger.stages import Stages
from dal_nlp.models.pool import Pool
from dal_nlp.workflows.cost_estimate import Timings, _line, encoding


def test_what_every_measurement_costs_alike_is_counted_once() -> None:
    # 0.9 s whatever the number of texts, and 0.01 s a text
    assert _line(0.98, 8, 1.54, 64, 1000) == pytest.approx(10.9)


@pytest.mark.parametrize(("few_seconds", "few"), [(2.0, 8), (1.54, 64)])
def test_where_no_line_rises_the_larger_measurement_is_a_rate(few_seconds: float, few: int) -> None:
    assert _line(few_seconds, few, 1.54, 64, 640) == pytest.approx(15.4)


def measured(seconds: float, texts: int) -> Timings:
    return Timings(0.0, 0.0, cast("Pool", None), seconds, texts)


def test_a_cold_start_does_not_count_for_each_text_of_the_pool() -> None:
    stages = Stages()
    stages.encode_seconds, stages.encoded = 20.0 + 1.8 + 7.4, 8 + 8 + 64  # libraries 19 s, the encoder 1 s each time
    assert encoding(stages, measured(1.8, 8), measured(7.4, 64), 500) == pytest.approx(51.0)


def test_where_nothing_more_had_to_be_read_all_that_was_counts() -> None:
    stages = Stages()
    assert encoding(stages, measured(0.0, 0), measured(0.0, 0), 500) == 0
    stages.encode_seconds, stages.encoded = 4.0, 8
    assert encoding(stages, measured(0.0, 0), measured(0.0, 0), 500) == pytest.approx(250.0)
