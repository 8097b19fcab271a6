"""Summaries from a file to a report: what the loop and the seams make of a task whose answers are written."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, T5ForConditionalGeneration
from typer.testing import CliRunner

from dal_nlp import Label, Oracle, Query, RunConfig, Session, UserError, select
from dal_nlp.ledger.ledger import read_state
from dal_nlp.session.loop import Result
from dal_nlp.strategies import strategy_class
from dal_nlp.strategies.scored import Scored
from dal_nlp.strategies.selectors import top_k
from dal_nlp.tasks import summarization
from dal_nlp_cli.main import app
from tests import tiny, tiny_summaries
from tests.tiny import write


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_summaries.save_writer(tmp_path_factory.mktemp("writer"))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The number of documents in each call of `generate`."""
    seen: list[int] = []
    generate = T5ForConditionalGeneration.generate

    def counting(self: Any, *args: Any, **named: Any) -> Any:
        seen.append(len(named["attention_mask"]))
        return generate(self, *args, **named)

    monkeypatch.setattr(T5ForConditionalGeneration, "generate", counting)
    yield seen


def settings(folder: Path, model: str, **changes: Any) -> dict[str, Any]:
    return {
        "task": "summarization",
        "data": write(folder / "pool.jsonl", tiny_summaries.documents(40)),
        "test": write(folder / "test.jsonl", tiny_summaries.documents(15, seed=1)),
        "model": model,
        "out": str(folder / "run"),
        "max_length": 24,
        "task_options": {"max_new_tokens": 8},
        "initial": 6,
        "query_size": 4,
        "rounds": 1,
        "training": {"min_steps": 3, "epochs": 1, "learning_rate": 1e-3},
        "draws": {"k": 2},
        **changes,
    }


def run(folder: Path, model: str, **changes: Any) -> Result:
    return Session(RunConfig.load(flags=settings(folder, model, **changes))).run()


def test_a_run_leaves_what_it_promises(tmp_path: Path, model: str) -> None:
    result = run(tmp_path, model, rounds=2)
    with (result.folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[2:7] == ["rouge1", "rouge2", "rougeL", "rougeLsum", "gen_tokens"]
    assert [row["labels"] for row in rows] == ["6", "10", "14"]
    truth = {row["id"]: row["summary"] for row in tiny_summaries.documents(40)}
    assert all(truth[id] == target for id, target in result.labels.items())
    state = read_state(result.folder)
    query = state.queries[1]
    agreement = state.metrics[1].agreement[query.ids[0]]
    page = (result.folder / "report.html").read_text()
    assert query.predictions[0]["target"] in page
    assert f'data-name="ROUGE-1">{agreement["ROUGE-1"]:.2f}</td>' in page
    shown = [[row["id"] for row in event.shown] for event in state.metrics]
    assert len(shown[0]) == 5
    assert shown[0] == shown[1] == shown[2]
    assert "The same examples, round by round" in page
    assert page.count('<td class="text" dir="auto">') >= 15  # five documents, three rounds
    with (result.folder / "queries.csv").open() as file:
        assert next(row for row in csv.DictReader(file) if row["round"] == "1")["text"] == query.texts[0]


def test_the_saved_model_writes_what_predict_says(tmp_path: Path, model: str) -> None:
    result = run(tmp_path, model, rounds=0)
    new = tmp_path / "new.csv"
    new.write_text("id,document\na,the film was good and happy\nb,\nc,a dull plot\n")
    done = CliRunner().invoke(app, ["predict", str(result.folder), str(new)])
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(done.stdout.splitlines()))
    writer, tokenizer = (of.from_pretrained(result.model_dir) for of in (AutoModelForSeq2SeqLM, AutoTokenizer))
    for row in (rows[0], rows[2]):
        ids = torch.tensor([tokenizer(row["document"])["input_ids"]])
        text = tokenizer.decode(writer.generate(input_ids=ids)[0], skip_special_tokens=True)
        assert row["prediction"] == text.strip()
        assert 0 < float(row["confidence"]) <= 1
    assert (rows[1]["prediction"], rows[1]["confidence"]) == ("", "")


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["entropy", "bleuvar"])
def test_a_round_that_was_killed_does_not_write_again(
    tmp_path: Path, model: str, written: list[int], monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    whole_folder, folder = tmp_path / "whole", tmp_path / "killed"
    for place in (whole_folder, folder):
        place.mkdir()
    whole = run(whole_folder, model, strategy=strategy)
    asked = sum(written)
    written.clear()

    def killed(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(strategy_class(strategy), "select", _select_and(killed))
        with pytest.raises(KeyboardInterrupt):
            run(folder, model, strategy=strategy)
    resumed = run(folder, model, strategy=strategy)
    assert sum(written) == asked
    assert resumed.labels == whole.labels
    assert [point["values"] for point in resumed.curve] == [point["values"] for point in whole.curve]


def _select_and(then: Any) -> Any:
    def select(self: Scored, pool: Any, k: int, rng: Any) -> Any:
        chosen = top_k(self.scores(pool, rng), k, rng)
        then()
        return chosen

    return select


def test_what_other_weights_have_written_is_neither_used_nor_kept(tmp_path: Path, model: str) -> None:
    result = run(tmp_path, model, strategy="entropy", rounds=2)
    assert [file.name[:10] for file in (result.folder / "cache").glob("written-[0-9]*")] == ["written-2-"]
    texts = [[row["prediction"] for row in event.shown] for event in read_state(result.folder).metrics]
    assert texts[0] != texts[1]


def test_a_cascade_writes_for_few_of_the_pool(tmp_path: Path, model: str, written: list[int]) -> None:
    query = {"candidates": 20, "prefilter": "idds", "prefilter_keep": 6}
    result = run(tmp_path, model, strategy="bleuvar", query=query)
    assert len(result.labels) == 10
    # Before: 8 to see whether draws differ, what is asked, the test set. Of 20 candidates 6 are sampled under two
    # draws; then the model's own answer to the 4 that are asked, and the test set.
    assert written[-4:] == [6, 6, 4, 15]
    assert sum(written[:-4]) <= 8 + 6 + 15


def test_a_cascade_works_before_the_first_label_where_texts_are_read(
    tmp_path: Path, model: str, written: list[int]
) -> None:
    run(tmp_path, model, initial_strategy="bleuvar", rounds=0, query={"prefilter": "idds", "prefilter_keep": 9})
    assert written[1:3] == [9, 9]
    assert sum(written) <= 8 + 9 * 2 + 6 + 15


def test_a_pretrained_writer_is_asked_before_the_first_label_and_a_new_pair_is_not(tmp_path: Path, model: str) -> None:
    first = read_state(run(tmp_path, model, rounds=0).folder)
    assert len(first.queries[0].predictions) == 6
    assert len(first.metrics[0].agreement) == 6
    pair = run(tmp_path, tiny.save_model(tmp_path / "encoder"), rounds=0, out=str(tmp_path / "pair"))
    assert not read_state(pair.folder).queries[0].predictions


@pytest.mark.long
def test_texts_of_a_model_that_was_trained_on_are_not_taken_for_its_own(tmp_path: Path, model: str) -> None:
    result = run(
        tmp_path, model, strategy="entropy", rounds=2, training={"min_steps": 3, "epochs": 1, "warm_start": True}
    )
    place = AutoModelForSeq2SeqLM.from_pretrained(result.model_dir)
    tokenizer = AutoTokenizer.from_pretrained(result.model_dir)
    for row in read_state(result.folder).metrics[-1].shown:
        ids = torch.tensor([tokenizer(row["text"], truncation=True, max_length=24)["input_ids"]])
        assert tokenizer.decode(place.generate(input_ids=ids)[0], skip_special_tokens=True).strip() == row["prediction"]


@pytest.mark.parametrize("kind", ["missing", "writer"])
def test_an_embedding_model_that_is_none_is_a_sentence_before_anything_is_trained(
    tmp_path: Path, model: str, kind: str
) -> None:
    name = str(tmp_path / "nowhere") if kind == "missing" else model
    with pytest.raises(UserError, match=r"There is no model folder .*nowhere|is no encoder of texts"):
        run(tmp_path, model, strategy="coreset", initial_strategy="random", query={"embedding_model": name})
    assert not (tmp_path / "run").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    "strategy", ["nsp", "ensp", "ensv", "dual", "lobster", "badge", "bald", "typiclust", "learning_loss", "margin"]
)
def test_strategies_of_every_kind_run(tmp_path: Path, model: str, strategy: str) -> None:
    assert len(run(tmp_path, model, strategy=strategy, initial_strategy="idds").labels) == 10


@pytest.mark.parametrize("name", ["batchbald", "span_disagreement", "ceal"])
def test_what_does_not_fit_is_refused_before_a_model_is_loaded(
    tmp_path: Path, model: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dal_nlp.tasks.seq2seq.load_writer", None)
    with pytest.raises(UserError, match=r"fit|label"):
        run(tmp_path, model, strategy=name)
    with pytest.raises(UserError, match="'bait' needs shared outcomes"):
        run(tmp_path, model, query={"prefilter": "bait"})


@pytest.mark.long
def test_embeddings_of_a_sentence_encoder_are_computed_once_a_run(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = tiny.save_model(tmp_path / "encoder")
    texts: list[str] = []
    embed = summarization_encoder()._run
    monkeypatch.setattr(summarization_encoder(), "_run", lambda self, new: texts.extend(new) or embed(self, new))
    result = run(tmp_path, model, strategy="coreset", rounds=2, query={"embedding_model": encoder, "dedupe": None})
    assert len(texts) == len(set(texts)) == 40
    own = run(tmp_path, model, strategy="coreset", rounds=2, out=str(tmp_path / "own"), query={"dedupe": None})
    assert result.labels.keys() != own.labels.keys()


def summarization_encoder() -> Any:
    from dal_nlp.models.sentence_encoder import SentenceEncoder

    return SentenceEncoder


def test_rows_that_cannot_be_used_are_left_out_and_what_is_cut_is_said(tmp_path: Path, model: str) -> None:
    rows = [*tiny_summaries.documents(20), {"id": "e", "document": " ", "summary": "good"}]
    rows += [{"id": "n", "document": "a plot", "summary": ""}, {"id": "l", "document": "good " * 40, "summary": "it"}]
    rows += [{"id": "s", "document": "a film", "summary": "good " * 20}]
    result = run(tmp_path, model, data=write(tmp_path / "odd.jsonl", rows), rounds=0)
    state = read_state(result.folder)
    assert state.pool is not None
    assert state.pool.rows == 22
    assert {reason.rpartition(": ")[2] for reason in state.pool.rejected} == {"empty text", "no answer"}
    page = (result.folder / "report.html").read_text()
    long = sum(len(str(row["document"]).split()) > 22 for row in rows)
    assert f"{long} of 22 documents (pool) are longer than 24 tokens" in page
    assert "4.5 % of the references (pool) are longer than 8 tokens" in page


def test_broken_texts_are_counted_in_every_round(tmp_path: Path, model: str) -> None:
    result = run(tmp_path, model, rounds=2)
    for event in read_state(result.folder).metrics:
        kinds = {row["kind of text"]: row["count"] for row in event.breakdown}
        assert sum(kinds.values()) == 15
    page = (result.folder / "report.html").read_text()
    assert "By kind of text, in the last round" in page


def test_several_references_measure(tmp_path: Path, model: str) -> None:
    rows = [
        {"id": row["id"], "document": row["document"], "references": [row["summary"], "something else"]}
        for row in tiny_summaries.documents(15, seed=1)
    ]
    result = run(tmp_path, model, rounds=0, test=write(tmp_path / "references.jsonl", rows))
    assert read_state(result.folder).metrics[0].size == 15


def test_any_pair_of_columns_is_a_task(tmp_path: Path, model: str) -> None:
    names = {"document": "mail", "summary": "subject"}
    rows = [{names.get(name, name): value for name, value in row.items()} for row in tiny_summaries.documents(20)]
    data = write(tmp_path / "mails.jsonl", rows)
    result = run(tmp_path, model, data=data, test=None, audit=5, text_column=["mail"], label_column="subject", rounds=0)
    assert len(result.labels) == 11


def test_an_oracle_may_give_a_text_or_several_and_nothing_else(tmp_path: Path, model: str) -> None:
    class Writing(Oracle):
        def label(self, queries: Sequence[Query]) -> Iterator[Label]:
            for i, query in enumerate(queries):
                yield Label(query.id, ["one", "two"] if i % 2 else query.text[:9])

    class Silent(Oracle):
        def label(self, queries: Sequence[Query]) -> Iterator[Label]:
            yield Label(queries[0].id, "  ")

    config = RunConfig.load(flags=settings(tmp_path, model, rounds=0))
    assert len(Session(config, oracle=Writing()).run().labels) == 6
    broken = config.model_copy(update={"out": str(tmp_path / "broken")})
    with pytest.raises(UserError, match="cannot be used: it is neither a text with words in it"):
        Session(broken, oracle=Silent()).run()


def test_a_decoder_alone_is_a_sentence(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path / "gpt"
    GPT2LMHeadModel(GPT2Config(vocab_size=40, n_positions=40, n_embd=16, n_layer=1, n_head=2)).save_pretrained(folder)
    data = write(tmp_path / "pool.jsonl", tiny_summaries.documents(30))
    out = ["--out", str(tmp_path / "run"), "--audit", "5", "--rounds", "0"]
    done = CliRunner().invoke(app, ["run", "--task", "summarization", "--data", data, "--model", str(folder), *out])
    assert done.exit_code == 2
    assert "decoder without an encoder" in " ".join(done.stderr.split())


@pytest.mark.long
def test_check_rehearses_a_round(tmp_path: Path, model: str) -> None:
    flags = ["--task", "summarization", "--model", model, "--initial", "6", "--query-size", "4", "--rounds", "1"]
    flags += ["--strategy", "bald", "--set", "max_length=24", "--set", "draws.k=2"]
    data = write(tmp_path / "pool.jsonl", tiny_summaries.documents(40))
    test = write(tmp_path / "test.jsonl", tiny_summaries.documents(15, seed=1))
    done = CliRunner().invoke(app, ["check", *flags, "--data", data, "--test", test])
    assert done.exit_code == 0, done.output
    assert "mean BALD" in done.output


def test_a_training_script_chooses_documents() -> None:
    texts = [str(row["document"]) for row in tiny_summaries.documents(12)]
    parts = {"task": "summarization", "task_options": {"max_new_tokens": 8}, "max_length": 24}
    known = [("a good film", "good"), ("a bad plot", ["bad", "poor"])]
    for strategy in ("entropy", "lobster", "bleuvar"):
        picked = select(tiny_summaries.writer(), tiny.tokenizer(), texts, 3, strategy, labeled=known, **parts)  # type: ignore[arg-type]
        assert len(set(picked.positions.tolist())) == 3
    with pytest.raises(UserError, match="is no document"):
        select(tiny_summaries.writer(), tiny.tokenizer(), [("a", "b"), ("c", "d")], 1, **parts)  # type: ignore[arg-type]


def test_neither_the_loop_nor_a_strategy_knows_of_the_task() -> None:
    package = Path(summarization.__file__).parents[1]
    for path in (*(package / "session").glob("*.py"), *(package / "strategies").glob("*.py")):
        imports = [line for line in path.read_text().splitlines() if line.startswith(("import", "from"))]
        assert "ummarization" not in "".join(imports), path
