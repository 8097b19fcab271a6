"""Extractive question answering against enumeration of all spans."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import dal_nlp
from dal_nlp.core import categoricals
from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.errors import UserError
from dal_nlp.core.rng import torch_seeded
from dal_nlp.models.forward import Forward
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool, fetch
from dal_nlp.strategies import probes
from dal_nlp.strategies.span_disagreement import SpanDisagreement, expected_loss
from dal_nlp.tasks import qa
from dal_nlp.tasks.questions.spans import NO_ANSWER, said
from tests import tiny
from tests.reference import qa as reference


def forward(
    rows: list[dict[str, object]], unanswerable: bool = False, seed: int = 0
) -> tuple[qa.ExtractiveQA, Forward]:
    of = tiny.qa_task(unanswerable=unanswerable)
    model = tiny.reader(seed)
    examples = fetch(tiny.encoded_questions(rows, of), range(len(rows)))
    draws = make_draws(DrawsConfig(k=2), 0, 0)
    return of, Forward(model, of, of.collate(examples), examples, draws, 64)


def by_enumeration(of: qa.ExtractiveQA, example: Any, model: Any) -> dict[Any, float]:
    """The twin's distribution of one example, from scores of each of its windows alone."""
    starts, ends, count = [], [], []
    for w in range(example["rows"]):
        ids = torch.tensor([example["input_ids"][w]])
        with torch.no_grad():
            out = model(ids)
        starts.append(out.start_logits[0].tolist())
        ends.append(out.end_logits[0].tolist())
        count.append(len(example["nearest_end"][w]))
    longest = of.longest_answer
    return reference.distribution(
        starts, ends, example["first"], example["shift"], count, example["null"], longest, of.unanswerable
    )


ROWS = tiny.questions(9, seed=3, unanswerable=True)


@pytest.mark.parametrize("unanswerable", [False, True])
def test_the_distribution_is_that_of_all_spans_of_all_windows_together(unanswerable: bool) -> None:
    of, f = forward(ROWS, unanswerable)
    assert max(example["rows"] for example in f.examples) > 2
    assert min(example["rows"] for example in f.examples) == 1
    c = f.categoricals
    entropy, margins = categoricals.entropy(c), categoricals.margin(c, f.text)
    for b, example in enumerate(f.examples):
        want = by_enumeration(of, example, tiny.reader())
        values, positions = c.top(3000)
        got = [p for p in values[b, 0].exp().tolist() if p > 0]
        assert got == pytest.approx(sorted(want.values(), reverse=True), rel=1e-4)
        assert entropy[b].item() == pytest.approx(-sum(p * math.log(p) for p in want.values()), rel=1e-4)
        number = int(c.numbers(positions)[b, 0, 0])
        best = max(want, key=lambda key: want[key])
        target = said(example, number, of.longest_answer)
        if best is None:
            assert target == NO_ANSWER
        else:
            text = example["context"][example["starts"][best[0]] : example["ends"][best[1]]]
            assert target == {"text": [text], "answer_start": [example["starts"][best[0]]]}
        by_text = {}
        for key, p in want.items():
            answer = "" if key is None else example["context"][example["starts"][key[0]] : example["ends"][key[1]]]
            normal = qa.metrics.normalise_answer(answer) or answer
            by_text[normal] = max(p, by_text.get(normal, 0.0))
        first, second = sorted(by_text.values(), reverse=True)[:2]
        assert margins[b].item() == pytest.approx(1 - (first - second), rel=1e-4)


def test_numbers_do_not_depend_on_the_batching_nor_on_slices_of_windows() -> None:
    wanted = None
    for batch_size in (1, 3, 64):
        pool = tiny.qa_pool(n=12, batch_size=batch_size, unanswerable=True)
        found = pool.collect(
            probes.entropy,
            probes.margin,
            probes.embedding,
            probes.gradient,
            probes.least_confidence,
        )
        answers = [prediction.target for prediction in pool.predict()]
        flat = [found[0], found[1], found[2], found[3].right, found[4]]
        if wanted is None:
            wanted, first = flat, answers
        assert answers == first
        for got, want in zip(flat, wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("unanswerable", [False, True])
def test_the_loss_is_minus_log_of_the_gold_spans_together(unanswerable: bool) -> None:
    rows = tiny.questions(8, seed=5, unanswerable=unanswerable)
    first = rows[1]["answers"]
    context = str(rows[1]["context"])
    second = context.split()[-1]
    first["text"] += [second, first["text"][0]]  # type: ignore[index, operator]  # a repeat counts once
    first["answer_start"] += [context.rindex(second), first["answer_start"][0]]  # type: ignore[index, operator]
    of, f = forward(rows, unanswerable)
    for b, example in enumerate(f.examples):
        want = by_enumeration(of, example, tiny.reader())
        keys = set()
        for text, start in zip(example["target"]["text"], example["target"]["answer_start"], strict=True):
            i = next(k for k, end in enumerate(example["ends"]) if end > start)
            j = [k for k, begin in enumerate(example["starts"]) if begin < start + len(text)][-1]
            keys.add((i, j))
        total = sum(want[key] for key in keys) if keys else want[None]
        assert f.loss[b].item() == pytest.approx(-math.log(total), rel=1e-4)


def test_the_gradient_is_that_of_the_output_layer_by_autograd() -> None:
    """Summed over all windows: [E h - h_start; E h - h_end] under the marginals of starts and of ends."""
    of, f = forward(ROWS, unanswerable=True)
    gradient = f.gradient
    dense = np.einsum("npa,nph->nah", gradient.left, gradient.right)
    for b, example in enumerate(f.examples):
        model = tiny.reader()
        batch = of.collate([example])
        raw = model.qa_outputs(model.bert(**batch.inputs).last_hidden_state)
        c = of.categoricals(raw, batch)
        (-c.at(c.best())).sum().backward()
        np.testing.assert_allclose(dense[b], model.qa_outputs.weight.grad.numpy(), rtol=1e-3, atol=1e-5)


def test_delta_is_marginals_of_the_joint_minus_one_hot() -> None:
    of, f = forward(ROWS[1:2])
    raw = f._pass.raw.clone().requires_grad_(True)
    c = of.categoricals(raw, f.batch)
    gold = c.at(c.best().detach())
    (delta,) = torch.autograd.grad(-gold.sum(), raw)
    p = c.log_probs.detach().exp()[:, 1:].reshape(*raw.shape[:2], of.longest_answer)
    marginal = p.sum(2)
    place = int(c.best()) % c.log_probs.shape[1] - 1
    row, token = int(c.best()) // c.log_probs.shape[1], place // of.longest_answer
    marginal[row, token] -= 1
    torch.testing.assert_close(delta[..., 0], marginal, rtol=1e-3, atol=1e-6)


def test_an_answer_that_is_too_long_measures_and_does_not_train() -> None:
    row = tiny.questions(1, words=30)[0]
    words = str(row["context"]).split()
    row["answers"] = {"text": [" ".join(words[:6])], "answer_start": [0]}
    of = tiny.qa_task(longest=4)
    (example,) = fetch(tiny.encoded_questions([row], of), [0])
    assert not of.trainable(example)
    raw = torch.zeros(example["rows"], len(example["input_ids"][0]), 2, requires_grad=True)
    loss = of.loss(raw, of.collate([example]))
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert raw.grad is not None and (raw.grad == 0).all()
    (other,) = fetch(tiny.encoded_questions([row], tiny.qa_task(longest=6)), [0])
    assert tiny.qa_task(longest=6).trainable(other)


def test_training_points_at_the_answer() -> None:
    """The head and the joint loss can learn: a few steps on one question find its answer."""
    row = tiny.questions(1, seed=8, words=40)[0]
    of, model = tiny.qa_task(), tiny.reader(dropout=0.0)
    (example,) = fetch(tiny.encoded_questions([row], of), [0])
    batch = of.collate([example])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        out = model(**batch.inputs)
        of.loss(torch.stack([out.start_logits, out.end_logits], -1), batch).sum().backward()
        optimizer.step()
    draws = make_draws(DrawsConfig(k=2), 0, 0)
    with torch.inference_mode():
        f = Forward(model.eval(), of, batch, [example], draws, 64)
    (prediction,) = of.predict(f.categoricals, f.batch, f.examples)
    assert prediction.target == example["target"]
    assert prediction.confidence > 0.9


def test_the_threshold_of_no_answer_is_fitted_and_travels_with_the_model(tmp_path: Any) -> None:
    of = tiny.qa_task(unanswerable=True)
    rows = tiny.questions(30, seed=4, unanswerable=True)
    model = tiny.reader()
    scoring, draws = ScoringConfig(), make_draws(DrawsConfig(k=2), 0, 0)

    def pool(of: qa.ExtractiveQA, model: Any) -> Pool:
        return Pool(tiny.encoded_questions(rows, of), model, of, draws, scoring)

    before = of.evaluate([p.target for p in pool(of, model).predict()], pool(of, model).targets)
    known = pool(of, model)
    (measured,) = known.collect(lambda forward: of.calibration(forward.categoricals, forward.batch, forward.examples))
    of.calibrate(model, measured, known.targets)
    answers = [p.target for p in pool(of, model).predict()]
    after = of.evaluate(answers, pool(of, model).targets)
    assert after["f1"] >= max(before["f1"], 10 / 30)  # at least what refusing all answers gives
    model.save_pretrained(tmp_path)
    other = tiny.qa_task()
    other.labels = list(of.labels)  # as `predict` takes them from the ledger
    loaded = other.load(str(tmp_path))
    assert [p.target for p in pool(other, loaded.eval()).predict()] == answers


def test_no_answer_is_learnt_from_the_data() -> None:
    of = tiny.qa_task()
    of.learn_labels([{"text": ["a"], "answer_start": [0]}])
    assert not of.unanswerable
    of.learn_labels([NO_ANSWER])
    assert of.unanswerable


def test_span_disagreement_equals_its_twin() -> None:
    rng = np.random.default_rng(0)
    texts = ["the film", "film", "a good film", "plot", "", "plot", "good plot was good", "film film"]
    p = rng.dirichlet(np.ones(len(texts)))
    assert expected_loss(texts, np.log(p)) == pytest.approx(reference.disagreement(texts, p.tolist()))
    assert expected_loss(["a", "b"], np.array([0.0, -80.0])) > 0
    assert expected_loss(["a", "a"], np.array([-1.0, -2.0])) == 0


def test_span_disagreement_reads_the_most_likely_answers() -> None:
    of, f = forward(ROWS, unanswerable=True)
    pool = Pool(
        tiny.encoded_questions(ROWS, of), tiny.reader(), of, make_draws(DrawsConfig(k=2), 0, 0), ScoringConfig()
    )
    scores = SpanDisagreement(answers=6).scores(pool, np.random.default_rng(0))
    values, positions = f.categoricals.top(6)
    for b in range(len(ROWS)):
        texts = [f.text(b, number) for number in f.categoricals.numbers(positions)[b, 0].tolist()]
        p = values[b, 0].exp().tolist()
        assert scores[b] == pytest.approx(reference.disagreement(texts, p), rel=1e-3)


@pytest.mark.parametrize("unanswerable", [False, True])
def test_select_in_a_training_script(unanswerable: bool) -> None:
    rows = tiny.questions(12)
    pairs = [(str(row["question"]), str(row["context"])) for row in rows]
    labeled = [({"question": q, "context": c}, row["answers"]) for (q, c), row in zip(pairs[:3], rows, strict=False)]
    options = {"doc_stride": 6, "longest_answer": 4, "unanswerable": unanswerable}
    model = tiny.reader()
    for strategy in ("entropy", "span_disagreement", "coreset"):
        picked = dal_nlp.select(
            model, tiny.tokenizer(), pairs, 4, strategy, labeled, max_length=24, task="qa", task_options=options
        )
        assert len(set(picked.positions.tolist())) == 4
    of = tiny.qa_task(unanswerable=unanswerable)
    pool = Pool(tiny.encoded_questions(rows, of), model, of, make_draws(DrawsConfig(k=2), 0, 0), ScoringConfig())
    (entropy,) = pool.collect(probes.entropy)
    entropic = dal_nlp.select(
        model, tiny.tokenizer(), pairs, 4, "entropy", max_length=24, task="qa", task_options=options
    )
    assert entropic.positions.tolist() == np.argsort(-entropy)[:4].tolist()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"examples": [{"question": "a"}]}, "no 'context'"),
        ({"examples": [("", "the film")]}, "is empty"),
        ({"examples": ["ab"]}, "is no question with its context"),
        ({"labeled": [(("what", "the film"), None)]}, "has not the form"),
        ({"labeled": [(("what", "the film"), {"text": ["film"], "answer_start": [1]})]}, "film"),
        ({"labeled": [(("what", "the film"), "plot")]}, "does not hold 'plot'"),
        ({"strategy": "bait"}, "'bait' needs shared outcomes"),
        ({"task_options": {"stride": 3}}, "no option 'stride'"),
    ],
)
def test_mistakes_in_a_training_script_are_sentences(change: dict[str, Any], sentence: str) -> None:
    values = {"examples": [("what", "the film")], "k": 1, "task": "qa", "max_length": 24, **change}
    with pytest.raises(UserError, match=sentence):
        dal_nlp.select(tiny.reader(), tiny.tokenizer(), **values)


def test_the_same_model_answers_whatever_chance_says() -> None:
    with torch_seeded(1):
        first = tiny.qa_pool(n=5).predict()
    with torch_seeded(2):
        assert tiny.qa_pool(n=5).predict() == first


def test_a_head_of_another_size_is_replaced(tmp_path: Any) -> None:
    tiny.classifier(3).save_pretrained(tmp_path)
    with torch_seeded(0):
        model = tiny.qa_task().load(str(tmp_path))
    assert model.qa_outputs.out_features == 2


def test_windows_longer_than_the_model_are_refused(tmp_path: Any) -> None:
    tiny.reader().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="max_length 384 is above the 64 tokens"):
        qa.ExtractiveQA(tokenizer=tiny.tokenizer()).load(str(tmp_path))
    with pytest.raises(UserError, match="max_length 384 is above the 64 tokens"):
        dal_nlp.select(tiny.reader(), tiny.tokenizer(), [("what", "the film")], 1, task="qa")


def test_an_old_threshold_does_not_outlive_its_fit() -> None:
    of, model = tiny.qa_task(unanswerable=True), tiny.reader()
    model.config.update({qa.THRESHOLD: -1e9})
    of.calibrate(model, None, None)
    assert model.config.to_dict()[qa.THRESHOLD] == 0


def test_weights_balance_questions_with_and_without_an_answer() -> None:
    some = {"text": ["a"], "answer_start": [0]}
    assert tiny.qa_task().weights([some, some, some, NO_ANSWER]) == pytest.approx([4 / 6, 4 / 6, 4 / 6, 2])
    assert tiny.qa_task().weights([some, some]) == [1, 1]


def test_a_collapsed_model_says_one_thing() -> None:
    some, other = {"text": ["a"], "answer_start": [0]}, {"text": ["b"], "answer_start": [4]}
    of = tiny.qa_task()
    assert of.collapsed([NO_ANSWER, NO_ANSWER], [some, NO_ANSWER])
    assert not of.collapsed([some, NO_ANSWER], [some, NO_ANSWER])
    assert not of.collapsed([some, some], [some, some])
    assert of.collapsed([some, some], [some, other])


def test_select_knows_that_questions_may_have_no_answer() -> None:
    pairs = [(str(row["question"]), str(row["context"])) for row in tiny.questions(8)]
    options = {"doc_stride": 6, "longest_answer": 4}

    def score(model: Any, labeled: Any = None, **more: Any) -> list[float]:
        given = {**options, **more}
        picked = dal_nlp.select(
            model, tiny.tokenizer(), pairs, 8, "entropy", labeled, max_length=24, task="qa", task_options=given
        )
        return sorted(picked.scores.tolist())

    told = score(tiny.reader(), unanswerable=True)
    assert told != score(tiny.reader())
    assert told == score(tiny.reader(), [(("what", "the film"), NO_ANSWER)])
    trained = tiny.reader()
    trained.config.update({qa.UNANSWERABLE: True})
    assert told == score(trained)
