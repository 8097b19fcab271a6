"""Machines alone in a comparison: the arm ``llm``, its verdict, and what everything costs."""

from pathlib import Path

import numpy as np
import pytest

from dal_nlp.compare.comparison import Comparison, run_comparison
from dal_nlp.compare.machines import Alone, by_money, judged_alone
from dal_nlp.compare.report import write_comparison
from dal_nlp.core.errors import UserError
from dal_nlp.report.learning_curves import Curve
from tests import tiny

CURVES = {
    "random": Curve(np.array([20.0, 40, 60]), np.array([[0.5, 0.6, 0.7]]), (0,)),
    "margin@head:kept": Curve(np.array([20.0, 40, 60]), np.array([[0.6, 0.7, 0.8]]), (0,)),
}


def alone(low: float, score: float, high: float, weak: tuple[tuple[str, int, int], ...] = ()) -> Alone:
    return Alone("llm:small", score, (low, high), 3, 200, weak, 0.01)


def test_a_machine_alone_would_do_would_mislead_or_nobody_can_tell() -> None:
    said = " ".join(judged_alone(alone(0.8, 0.85, 0.9), CURVES, "accuracy"))
    assert "llm:small alone has accuracy 0.850 [0.800, 0.900] on 200 test texts (no answer to 3, which" in said
    assert "It alone would do: margin@head:kept has 0.800 with 60 labels" in said and "only" not in said
    said = " ".join(judged_alone(alone(0.6, 0.65, 0.7, (("c", 2, 30),)), CURVES, "accuracy"))
    assert "would mislead: margin@head:kept has 0.800 with 60 labels and passes it at about 30." in said
    assert "It finds only 2 of 30 texts of 'c': counts of its answers would be wrong." in said
    assert "from the first point on" in " ".join(judged_alone(alone(0.5, 0.55, 0.6), CURVES, "accuracy"))
    assert "cannot be told" in " ".join(judged_alone(alone(0.7, 0.78, 0.86), CURVES, "accuracy"))


def test_a_curve_over_money_pays_for_machines_first() -> None:
    assert by_money(CURVES["random"], 0.08, 1.0).labels.tolist() == pytest.approx([2.6, 4.2, 5.8])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A file of answers that knows four of five texts."""
    folder = tmp_path_factory.mktemp("machines")
    pool, test = tiny.sentences(40), tiny.sentences(25, seed=1)
    said = [row for place, row in enumerate([*pool, *test]) if place % 5]
    tiny.save_masked_lm(folder / "model")
    values = {
        "task": "sentiment",
        "data": tiny.write(folder / "pool.jsonl", pool),
        "test": tiny.write(folder / "test.jsonl", test),
        "model": str(folder / "model"),
        "cache": str(folder / "cache"),
        "initial": 6,
        "query_size": 4,
        "rounds": 1,
        "strategy": "entropy",
        "initial_strategy": "random",
        "training": {"mode": "head"},
        "head": {"prior": "none"},
        "price_per_label": 0.08,
        "signals": [f"file:{tiny.write(folder / 'said.jsonl', said)}"],
    }
    comparison = run_comparison(values, ["llm", "stack", "human"], 2, folder / "out", full_score="none")
    write_comparison(comparison)
    return comparison


@pytest.mark.long
def test_the_arms_llm_stack_and_human(found: Comparison) -> None:
    names = [arm.name for arm in found.arms]
    assert names == ["random@head:kept", "random@head:nosignals", "entropy@head:kept", "entropy@head:nosignals"]
    (machine,) = found.alone
    assert (machine.name, machine.silent, machine.score) == ("file:said.jsonl", 5, 0.8)
    assert found.verdict is not None
    assert any("file:said.jsonl alone has accuracy 0.800" in sentence for sentence in found.verdict.sentences)
    assert found.pool == 40 and found.hearing == {"random@head:kept", "entropy@head:kept"}
    page = (found.folder / "report.html").read_text()
    assert "over money" in page and (found.folder / "money.png").stat().st_size > 100
    for arm in found.arms:
        assert found.price(arm) == pytest.approx(0.8)  # ten labels; answers of a file cost nothing


def test_llm_wants_a_machine_and_a_test_set(found: Comparison, tmp_path: Path) -> None:
    values = found.config.model_dump(exclude={"out", "budget"}) | {"signals": []}
    with pytest.raises(UserError, match="give --signal and --test"):
        run_comparison(values, ["llm", "entropy@head"], 1, tmp_path, full_score="none")
