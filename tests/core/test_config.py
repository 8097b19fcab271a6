"""RunConfig: layers, defaults, round trip, and errors that name the nearest right name."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import ConfigError, UserError
from dal_nlp.ledger.settings import as_now
from dal_nlp.session.config import RunConfig, gather_settings
from dal_nlp.tasks import make_task

FILES = {"task": "sentiment", "data": "pool.jsonl", "test": "test.jsonl"}


def test_a_budget_over_the_file_of_a_run_decides_its_rounds(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("task: sentiment\ndata: p.csv\nbudget: 100\nrounds: 4\n", encoding="utf-8")
    assert gather_settings(file, {"budget": 300})["rounds"] == 4  # somebody has written that
    (tmp_path / "ledger.jsonl").touch()
    assert "rounds" not in gather_settings(file, {"budget": 300}) and "rounds" not in gather_settings(
        file, settings=["budget=300"]
    )
    assert gather_settings(file, {"budget": 300, "rounds": 9})["rounds"] == 9 and gather_settings(file)["rounds"] == 4
    assert RunConfig.load(file, {"budget": 500}).rounds == (500 - 100 - 20) / 10  # audit, initial and query_size


def test_defaults_are_the_contract() -> None:
    config = RunConfig(**FILES)
    assert (config.initial, config.query_size, config.rounds, config.budget, config.seed) == (20, 10, 18, 200, 0)
    assert (config.strategy, config.initial_strategy, config.model) == ("variance_reduction", "kmeans", "auto")
    assert config.audit == 0
    # Where labels are described the first batch is random; a head that reads no descriptions has none.
    described = {"labels": {"a": "One. Two.", "b": "Three."}}
    assert RunConfig(**FILES, **described).initial_strategy == "random"
    assert RunConfig(**FILES, **described, initial_strategy="coreset").initial_strategy == "coreset"
    assert RunConfig(task="sentiment").initial_strategy == "random"  # the demonstration describes its labels
    for without in ({"head": {"prior": "none"}}, {"training": {"mode": "full"}}):
        assert RunConfig(**FILES, **described, **without).initial_strategy == "kmeans"
    assert RunConfig(task="sentiment", data="pool.jsonl").audit == 100
    # What goes with a head is not the same for all tasks, and a recipe says so; other modes are not touched by it.
    assert RunConfig(task="sentiment", data="pool.jsonl", training={"mode": "full"}).strategy == "margin"
    several = RunConfig(**{**FILES, "task": "multilabel"})
    assert (several.training.mode, several.strategy, several.query_size) == ("head", "badge", 10)
    assert RunConfig(**{**FILES, "task": "ner"}).strategy == "margin"
    assert RunConfig(**{**FILES, "task": "summarization", "training": {"mode": "head"}}).strategy == "weighted_kmeans"
    assert RunConfig(**{**FILES, "task": "multilabel", "training": {"mode": "full"}}).strategy == "margin"


@pytest.mark.long
@given(
    initial=st.integers(1, 50),
    query_size=st.integers(1, 50),
    rounds=st.none() | st.integers(0, 20),
    budget=st.none() | st.integers(101, 900),
    labels=st.none() | st.just("a,b,c"),
    test=st.none() | st.just("t.csv"),
    lr=st.floats(1e-6, 1e-2),
)
def test_a_dump_loads_to_the_same(**values: object) -> None:
    lr = values.pop("lr")
    config = RunConfig.load(flags={"task": "sentiment", "data": "p.csv", **values, "training": {"learning_rate": lr}})
    assert RunConfig(**config.model_dump(mode="json")) == config
    assert (
        RunConfig(**yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json")))).fingerprint()
        == config.fingerprint()
    )


def test_later_layers_win(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("task: sentiment\ndata: a.csv\nquery_size: 7\ntraining:\n  learning_rate: 3e-5\n  min_steps: 5\n")
    config = RunConfig.load(file, {"data": "b.csv", "test": None}, ["training.min_steps=9", "labels=x,y"])
    assert config.data == "b.csv"
    assert config.query_size == 7
    assert config.training.learning_rate == 3e-5
    assert config.training.min_steps == 9
    assert config.labels == ["x", "y"]


def test_a_colour_that_is_none_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "task: sentiment\ndata: p.csv\nlabels:\n  good: {about: it is good, color: red}\n  bad: it is bad\n"
    )
    with pytest.raises(UserError, match=r"^labels\.good\.color 'red' is not right: .*#"):
        RunConfig.load(file)


def test_a_budget_of_words_is_a_rule_and_at_most_as_many_labels() -> None:
    config = RunConfig(**FILES, budget="5,000 words")  # type: ignore[arg-type]
    assert (config.budget, config.stop, config.rounds) == (5000, "words=5000", (5000 - 20) / 10)
    config = RunConfig(**FILES, budget="900characters", stop="words=10 or stable")  # type: ignore[arg-type]
    assert (config.budget, config.stop) == (900, "characters=900 or stable"), "one budget takes the place of another"
    assert RunConfig.load(flags={**FILES, "budget": "300"}).budget == 300
    with pytest.raises(UserError, match="budget"):
        RunConfig.load(flags={**FILES, "budget": "300wrds"})


def test_a_budget_alone_decides_the_rounds() -> None:
    assert RunConfig(**FILES, budget=400).rounds == 38
    assert RunConfig(**FILES, rounds=2).budget == 40
    assert RunConfig(**FILES, labeled="l.csv").initial == 0


def test_the_demonstration_is_used_only_without_data() -> None:
    assert RunConfig(task="sentiment").data == "demo:sentiment"
    assert RunConfig(**FILES).max_length == "auto"


def test_a_budget_lengthens_the_demonstration() -> None:
    assert RunConfig(task="sentiment", budget=280).rounds == 26
    assert RunConfig(task="sentiment").rounds == 6


@pytest.mark.parametrize("labels", [["a"], ["a", "b", "b"]])
def test_labels_are_two_at_least_and_each_once(labels: list[str]) -> None:
    with pytest.raises(UserError, match="each of them once"):
        make_task(RunConfig(**FILES, labels=labels))


def test_pairs_of_columns_come_from_one_flag() -> None:
    assert RunConfig.load(flags={**FILES, "text_column": "a,b"}).text_column == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"task": "sentment"}, "did you mean 'sentiment'"),
        ({"strategy": "margn"}, "did you mean 'margin'"),
        ({"initial_strategy": "kmean"}, "did you mean 'kmeans'"),
        ({"oracle": "labeled-fiel"}, "did you mean 'labeled-file'"),
        ({"query_sise": 3}, "did you mean 'query_size'"),
        ({"train": "head"}, "key 'train' (it is 'training.mode'):"),
        ({"signal": "file:x.csv"}, "it is 'signals'"),
        ({"batch_size": 3}, "it is 'training.batch_size' or 'scoring.batch_size'"),
        ({"training": {"min_step": 3}}, "did you mean 'min_steps'"),
        ({"query_size": 0}, "--query-size 0"),
        ({"query_size": "many"}, "--query-size 'many'"),
        ({"target": "accuracy"}, "METRIC=VALUE"),
        ({"initial": 0}, "nothing to train on"),
        ({"test": None, "budget": 100}, "spent on the audit sample"),
        ({"strategy": "margin", "strategy_options": {"beta": 2}}, "no option 'beta'"),
        ({"oracle_options": {"rate": 2}}, "The oracle LabeledFile has no option 'rate'"),
        ({"oracle": "noisy:0.1", "oracle_options": {"rate": 2}}, "The oracle 'noisy:0.1' has no options"),
        ({"strategy": "no.such:Thing"}, "cannot be imported"),
        ({"strategy": "collections:Orderdict"}, "has no class 'Orderdict' (did you mean 'OrderedDict'"),
        ({"task": None}, "lacks 'task'"),
    ],
)
def test_mistakes_are_one_sentence_with_the_mend(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        RunConfig.load(flags={**FILES, **values})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "just words"])
def test_a_configuration_file_must_be_a_mapping(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError, match=r"c\.yaml"):
        RunConfig.load(tmp_path / "c.yaml", FILES)


def test_a_missing_configuration_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dal-nlp init"):
        RunConfig.load(tmp_path / "none.yaml")


def test_settings_without_a_value_are_refused() -> None:
    with pytest.raises(UserError, match="KEY=VALUE"):
        RunConfig.load(flags=FILES, settings=["training.min_steps"])


def test_budget_strategy_and_devices_are_no_identity_but_the_seed_is() -> None:
    base = RunConfig(**FILES)
    free = RunConfig(
        **FILES, budget=999, strategy="entropy", query_size=3, training={"batch_size": 4, "accumulation": 4}
    )
    assert base.identity() == free.identity()
    assert base.identity() == RunConfig(**FILES, training={"soft_labels": 9}).identity()
    assert base.identity() != RunConfig(**FILES, seed=1).identity()
    assert base.identity() != RunConfig(**FILES, training={"batch_size": 4}).identity()


def test_the_schema_documents_every_field() -> None:
    for name, field in RunConfig.model_json_schema()["properties"].items():
        assert "description" in field or "$ref" in field, name


def test_full_training_keeps_its_own_defaults() -> None:
    config = RunConfig(**FILES, training={"mode": "full"})
    assert (config.query_size, config.rounds, config.strategy, config.max_length) == (20, 9, "margin", "pool")


def test_labels_may_come_with_descriptions(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        "task: sentiment\ndata: a.csv\nlabels:\n  bad: I hate it. It is poor.\n  good: [I like it]\n  none:\n"
    )
    config = RunConfig.load(file)
    assert config.labels == ["bad", "good", "none"]
    assert config.descriptions == {"bad": ["I hate it.", "It is poor."], "good": ["I like it"]}
    with pytest.raises(UserError, match="did you mean 'good'"):
        RunConfig(**FILES, labels="bad,good", descriptions={"goood": "I like it"})


def test_a_label_has_sentences_examples_and_a_color(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "task: sentiment\ndata: a.csv\nlabels:\n  bad: I hate it.\n  good:\n    about: I like it. It is fine.\n"
        "    examples: [a joy, so good]\n    color: '#0072b2'\n"
    )
    config = RunConfig.load(file)
    assert config.labels == ["bad", "good"]
    assert config.descriptions == {"bad": ["I hate it."], "good": ["I like it.", "It is fine."]}
    assert set(config.label_details) == {"good"}
    assert config.label_details["good"].examples == ["a joy", "so good"] and config.label_details["good"].color
    assert RunConfig(**config.model_dump()) == config  # as a run folder keeps it
    with pytest.raises(UserError, match="did you mean 'good'"):
        RunConfig(**FILES, labels="bad,good", descriptions={"goood": {"examples": ["a joy"]}})
    with pytest.raises(UserError, match="colour"):
        RunConfig(**FILES, labels={"bad": {"colour": "#ff0000"}, "good": ""})
    with pytest.raises(UserError, match="red"):
        RunConfig.of({**FILES, "labels": {"bad": {"color": "red"}, "good": ""}})


def test_details_of_labels_that_are_no_mapping_are_refused_in_a_sentence() -> None:
    with pytest.raises(UserError, match=r"descriptions|label_details"):
        RunConfig.load(None, {**FILES, "descriptions": {"good": {"about": "fine"}}, "label_details": True})


def test_the_old_key_of_the_guidelines_is_still_read(caplog: pytest.LogCaptureFixture) -> None:
    config = RunConfig(**FILES, llm={"guidelines": "Only the food counts.", "parallel": 2})
    assert config.guidelines == "Only the food counts." and config.llm.parallel == 2
    assert "llm.guidelines" in caplog.text
    stored = {**config.model_dump(mode="json", exclude={"guidelines"}), "llm": {"guidelines": "Only the food counts."}}
    assert Settings(**as_now(stored)).guidelines == "Only the food counts."


def test_the_old_key_of_the_heads_strength_is_still_read(caplog: pytest.LogCaptureFixture) -> None:
    config = RunConfig(**FILES, training={"mode": "head", "head_c": 0.7})
    assert config.head.c == 0.7 and "head.c" in caplog.text


def test_layers_are_named_by_their_depth() -> None:
    assert RunConfig(**FILES, head={"layers": "top-half"}).head.layers == [50, 75, 100]
    assert RunConfig(**FILES, head={"layers": "100,75"}).head.layers == [75, 100]
    with pytest.raises(UserError, match="is not kept"):
        RunConfig(**FILES, head={"layers": [60]})


def test_names_with_a_comma_are_described() -> None:
    made = RunConfig.of(
        {"task": "sentiment", "data": "a.csv", "labels": '"so, so",bad', "descriptions": {"so, so": "x"}}
    )
    assert made.labels == ["so, so", "bad"] and made.descriptions is not None


@pytest.mark.parametrize(("labels", "name"), [([None], ""), ([0, 1], 2), ([True], "no")])
def test_a_description_of_no_label_is_named_whatever_the_labels_are(labels: list[Any], name: object) -> None:
    with pytest.raises(ConfigError, match=f"A description is of {name!r}.*none of the labels"):
        RunConfig.of({"task": "sentiment", "data": "a.csv", "labels": labels, "descriptions": {name: "about"}})
