"""A cheap machine, a dear one and people: who is asked what, what it costs, and a second model of people's answers."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dal_nlp.core.errors import UserError
from dal_nlp.inquiries.routing import Prices, prices_of
from dal_nlp.inquiries.whole_file import label_file
from dal_nlp.ledger.ledger import read_state
from dal_nlp_cli.main import app
from tests.inquiries.rows import new_rows, rows_of
from tests.inquiries.test_answers_by import NEW
from tests.inquiries.test_answers_by import finished as with_witnesses  # noqa: F401 - a fixture
from tests.ledgers import copies_after_every_write
from tests.tiny import write

PRICES = {"file:right.jsonl": 0.01, "people": 1.0}


@pytest.mark.long
def test_the_dear_machine_answers_what_the_cheap_one_may_not(
    with_witnesses: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    source, said, out = write(tmp_path / "new.jsonl", NEW), list[str](), tmp_path / "out"
    both = "model,file:right.jsonl"
    asked: tuple[Any, ...] = (with_witnesses, source, 0.1, out, "labeled-file", 60)
    found = label_file(*asked, told=said.append, answers_by=both, prices=PRICES)
    rows = rows_of(out / "labeled.csv")
    by = [row["by"] for row in rows]
    assert found.machines == {name: by.count(name) for name in ("model", "file:right.jsonl")}
    assert found.machines["file:right.jsonl"] > 50 and found.people == by.count("people")
    truth = {row["id"]: row["label"] for row in NEW}
    wrong = sum(row["label"] != truth[row["id"]] for row in rows)
    assert wrong / len(rows) <= 0.1 and found.bound is not None and found.bound <= 0.1
    dear = [line for line in said if "is asked about" in line]
    count = int(dear[0].split("about ")[1].split(" ")[0]) + len(read_state(out).audit or [])
    assert found.cost == pytest.approx(count * 0.01 + found.people)
    assert f"{found.machines['file:right.jsonl']:,} by file:right.jsonl, {found.people:,} by people" in said[-1]
    assert f"for {found.cost:,.2f} in all" in said[-1]
    again = label_file(*asked, told=said.append, answers_by=both, prices=PRICES)
    assert (again.machines, again.people, again.cost) == (found.machines, found.people, found.cost)
    with pytest.raises(UserError, match="other prices"):
        label_file(*asked, answers_by=both, prices={**PRICES, "people": 2.0})


@pytest.mark.long
def test_questions_for_two_machines_that_are_cut_anywhere_end_the_same(
    with_witnesses: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = write(tmp_path / "new.jsonl", NEW[:90])

    def call(out: Path) -> tuple[Any, ...]:
        found = label_file(
            with_witnesses, source, 0.15, out, "labeled-file", 40, told=lambda line: None,
            answers_by="model,file:right.jsonl", prices=PRICES,
        )  # fmt: skip
        assert found.pending == 0 and found.machines["file:right.jsonl"] > 0
        return found.machines, found.people, found.cost, (out / "labeled.csv").read_bytes()

    with monkeypatch.context() as patch:
        copies = copies_after_every_write(patch, tmp_path)
        want = call(tmp_path / "out")
    assert {name for name, _ in copies} == {"config", "pool", "inquiry", "audit", "label", "query"}
    for name, folder in copies:
        with (folder / "ledger.jsonl").open("a") as ledger:
            ledger.write('{"event": "label", "id": "torn')
        assert call(folder) == want, name


def test_a_dear_machine_that_does_not_pay_is_asked_about_the_draws_alone(
    with_witnesses: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    source, said = write(tmp_path / "new.jsonl", NEW), list[str]()
    prices = {"file:right.jsonl": 5.0, "people": 1.0}
    found = label_file(
        with_witnesses, source, 0.1, tmp_path / "out", "labeled-file", 60, told=said.append,
        answers_by="model,file:right.jsonl", prices=prices,
    )  # fmt: skip
    assert found.machines["file:right.jsonl"] == 0 and len(said) == 1
    drawn = len(read_state(tmp_path / "out").audit or [])
    assert found.cost == pytest.approx(5 * drawn + found.people)


def test_prices_name_those_who_answer() -> None:
    assert prices_of({"stack": 0.1, "people": 1}, ["model", "stack"]) == Prices([0.0, 0.1], 1)
    assert prices_of(None, ["model"]) is None and prices_of({"people": 2}, ["model"]) == Prices([0.0], 2)
    for given, sentence in (
        (None, "the cheapest way is chosen"),
        ({"people": 1.0}, "lacks what an answer of stack costs"),
        ({"stack": 1.0}, "lacks what an answer of people costs"),
        ({"stack": 1.0, "people": -1.0}, "negative"),
        ({"stak": 1.0, "people": 1.0}, "nobody of this name"),
    ):
        with pytest.raises(UserError, match=sentence):
            prices_of(given, ["model", "stack"])


def test_the_command_reads_prices_and_says_what_goes_together(finished: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "new.jsonl", new_rows(60))
    words = ["autolabel", str(finished), source, "--error", "0.4", "--draws", "20", "--oracle", "labeled-file"]
    done = CliRunner().invoke(app, [*words, "--price", "people=0.5", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0 and "in all" in done.output
    for flags, sentence in (
        (["--price", "people"], "no WHO=NUMBER"),
        (["--answers-by", "model,model"], "a cheap and a dear one"),
        (["--learn", "--design", "active"], "have to be uniform"),
    ):
        refused = CliRunner().invoke(app, [*words, *flags, "--out", str(tmp_path / "other")])
        assert refused.exit_code == 2 and sentence in " ".join(refused.output.split())
    for flag in (["--learn"], ["--price", "people=1"]):
        refused = CliRunner().invoke(app, ["autolabel", str(finished), source, *flag])
        assert refused.exit_code == 2 and "is for --error" in refused.output


@pytest.mark.long
def test_people_s_answers_train_a_second_model_and_what_measures_trains_nothing(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, said = write(tmp_path / "new.jsonl", new_rows(80)), list[str]()

    def call(out: Path) -> Any:
        return label_file(finished, source, 0.4, out, "labeled-file", 20, told=said.append, learn=True)

    with monkeypatch.context() as patch:
        copies = copies_after_every_write(patch, tmp_path)
        found = call(tmp_path / "out")
    own, learned = read_state(tmp_path / "out"), tmp_path / "out" / "learned"
    drawn, asked = set(own.audit or []), set(own.answers)
    text = {row["id"]: row["text"] for row in new_rows(80)}
    trained = {row["text"] for row in map(eval_row, (learned / "labeled.jsonl").read_text().splitlines())}
    assert {text[id] for id in asked - drawn} <= trained and not {text[id] for id in drawn} & trained
    assert len(trained) == len(asked - drawn) + len(read_state(finished).training_ids)
    second = read_state(learned / "run")
    assert second.metrics[-1].on == "test" and second.metrics[-1].size == len(drawn)
    assert (learned / "run" / "model").is_dir() and "a second model" in found.remarks[-1]
    want = (learned / "run" / "model" / "head.safetensors").read_bytes()
    for name, folder in copies:
        if (folder / "ledger.jsonl").parent.name != "run" and (folder / "labeled.csv").exists() is False:
            call(folder)
            again = folder / "learned" / "run" / "model" / "head.safetensors"
            assert again.read_bytes() == want, name


def eval_row(line: str) -> dict[str, Any]:
    import json

    row: dict[str, Any] = json.loads(line)
    return row
