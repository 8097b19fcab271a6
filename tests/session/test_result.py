"""What notebooks show of a result and a configuration."""

from pathlib import Path

import pytest

from dal_nlp import Result, RunConfig, UserError
from dal_nlp.ledger.ledger import read_state
from tests.cli.test_imports import RUN


@pytest.fixture(scope="module")
def result() -> Result:
    """The outcome of a run that is kept with the tests."""
    state = read_state(RUN)
    curve = [event.as_dict() for event in state.metrics]
    return Result(RUN, curve, dict(state.answers), RUN / "model", "all is done", ["x"], None, ["<b>odd</b> & so"])


def test_the_short_form_is_one_line_with_the_score(result: Result) -> None:
    (last,) = result.curve
    score = f"accuracy {last['values']['accuracy']:.3f} at {last['labels']} labels"
    assert repr(result) == f"<Result of {RUN}: 1 round, {score}; 1 answer missing; stopped: all is done>"


def test_the_table_has_every_round_and_is_escaped(result: Result) -> None:
    shown = result._repr_html_()
    assert shown.count("<tr>") == len(result.curve) + 1 and "macro F1" in shown
    assert "&lt;b&gt;odd&lt;/b&gt; &amp; so" in shown and "<b>" not in shown
    assert "<table>" in Result(Path("empty"), [], {}, None, None, [])._repr_html_()


def test_the_frame_has_values_and_intervals(result: Result) -> None:
    frame = result.to_pandas()
    assert frame["round"].tolist() == list(range(len(result.curve)))
    last, event = frame.iloc[-1], result.curve[-1]
    assert last["accuracy"] == event["values"]["accuracy"]
    assert [last["accuracy_low"], last["accuracy_high"]] == event["intervals"]["accuracy"]


def test_the_plot_is_a_figure_that_notebooks_show(result: Result) -> None:
    figure = result.plot("macro_f1")
    (line,) = [line for line in figure.axes[0].get_lines() if line.get_label() == "macro F1"]
    assert list(line.get_ydata()) == [point["values"]["macro_f1"] for point in result.curve]
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    assert len(result.plot().axes[0].get_lines()) == 2
    with pytest.raises(UserError, match="did you mean 'accuracy'"):
        result.plot("acuracy")
    with pytest.raises(UserError, match="No round is finished"):
        Result(Path("empty"), [], {}, None, None, []).plot()


def test_a_configuration_is_short_on_a_line_and_whole_in_a_table() -> None:
    config = RunConfig(task="sentiment", data="<reviews>.csv", strategy="margin", budget=300)
    assert repr(config).startswith("<RunConfig train=head, task=sentiment, data=<reviews>.csv, ")
    assert "strategy=margin" in repr(config) and len(repr(config)) < 250
    shown = config._repr_html_()
    assert "<td>training.mode</td><td>head</td>" in shown and "&lt;reviews&gt;.csv" in shown
