import math

import numpy as np
import pytest

from tests.benchmarks.measuring import Case, installed, measure, rows, scaled, show


def result(seconds, gigabytes=0.1):
    return {"seconds": seconds, "cpu": seconds, "gigabytes": gigabytes}


def case(**options):
    return Case("toy", "8 MB", lambda scale: (np.ones(scaled(1_000_000, scale)),), lambda x: x.sum(), **options)


def test_memory_is_the_peak_above_the_inputs():
    big = Case("big", "", lambda scale: (np.ones(20_000_000),), lambda x: (x + 1).sum())
    lazy = Case("lazy", "", lambda scale: (np.ones(20_000_000),), lambda x: x.sum())
    peak = measure(big, "ours", 1)["gigabytes"]
    if math.isnan(peak):
        pytest.skip("memory is measured on Linux only")
    assert 0.15 < peak < 0.25
    assert measure(lazy, "ours", 1)["gigabytes"] < 0.05


@pytest.mark.parametrize(
    ("ours", "word"), [(result(1.0), "kept"), (result(2.5), "MISSED"), (result(1.0, gigabytes=0.6), "MISSED")]
)
def test_limits_are_told_at_full_scale_only(ours, word):
    of = case(seconds=2, gigabytes=0.5)
    assert rows(of, {"ours": ours}, 1.0)[0][-1] == f"at most 2 s, 0.5 GB: {word}"
    assert rows(of, {"ours": ours}, 0.1)[0][-1] == "at most 2 s, 0.5 GB"


def test_a_slow_floor_raises_the_limit():
    table = rows(case(seconds=2), {"ours": result(2.5), "floor": result(2.0)}, 1.0)
    assert table[0][-1] == "at most 3 s: kept"


def test_twins_are_compared_with_ours():
    of = case(twins={"slow": sum}, times={"slow": 3})
    table = rows(of, {"ours": result(1.0), "slow": result(2.0)}, 1.0)
    assert table[1][2:] == ["slow", "2.00", "2.00", "0.10", "2.0x", "at least 3x: MISSED"]
    assert rows(of, {"ours": result(1.0), "slow": None}, 1.0)[1][-1] == "no result"


def test_only_installed_packages_are_compared():
    assert installed("numpy", "numpy", sum) == {f"numpy {np.__version__}": sum}
    assert installed("nothing", "no_such_module", sum) == {}


def test_columns_are_aligned():
    assert list(show([["a", "bc"], ["ddd", "e"]])) == ["a    bc", "ddd  e"]
