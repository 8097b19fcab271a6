"""Rounds of a second: the encoder is frozen, and a fit is one linear layer on what it makes of the texts."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute
import torch
from datasets import Dataset, concatenate_datasets
from numpy.typing import NDArray
from torch import Tensor, nn

from dal_nlp.core.config import RunConfig, ScoringConfig
from dal_nlp.core.distributed import is_main, process_state, wait
from dal_nlp.core.errors import BrokenModelError
from dal_nlp.core.progress import Progress
from dal_nlp.core.rng import derive, generator, torch_seeded
from dal_nlp.core.task import Batch, Task
from dal_nlp.data.corpus import Corpus
from dal_nlp.learners.feature_cache import Features, load_headed, open_cache
from dal_nlp.learners.learner import Learner, whole_folder, write_model
from dal_nlp.learners.linear import fit_linear
from dal_nlp.models.auxiliary import TokenLosses, token_losses
from dal_nlp.models.loss_prediction import FILE as LOSS_HEAD
from dal_nlp.models.loss_prediction import LossHead, LossPrediction
from dal_nlp.models.pool import fetch
from dal_nlp.models.trainer import Fit, Place, number_of_steps, schedule, step_batches
from dal_nlp.models.vectors import Array, Positions

#: The layer's file in a checkpoint.
HEAD = "head.safetensors"
#: Rows in a batch of features: a linear layer wants it large.
BATCH = 4096
#: Texts of the pool whose mean and spread stand for those of all.
SAMPLE = 1000


class HeadNet(nn.Module):
    """An output layer on features that are looked up: the model of a round, for all who score.

    A text is one token, whose number is its place in the features.

    Args:
        read: Gives the features (B, 4, H) of places (B,).
        width: H.
        outputs: C.
    """

    def __init__(self, read: Callable[[Positions], Array], width: int, outputs: int) -> None:
        super().__init__()
        self._read = read
        self.output = nn.Linear(width, outputs)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, output_hidden_states: bool = False
    ) -> dict[str, Tensor | tuple[Tensor, ...]]:
        """Return logits (B, C) and "hidden states" of one position: no embeddings, then four layers (B, 1, H)."""
        features = torch.from_numpy(self._read(input_ids[:, 0].cpu().numpy())).to(self.output.weight.device)
        layers = torch.split(features, 1, dim=1)
        return {"logits": self.output(features[:, -1]), "hidden_states": (layers[0], *layers)}


class HeadLearner(Learner):
    """Trains an output layer on the mean of the frozen encoder's last states.

    A set of texts is seen as a dataset whose examples have one token, the place of their features. So everything that
    scores, measures and chooses works as with a whole model, and takes as long as the lookup.
    """

    seeded: ClassVar[bool] = False
    instant: ClassVar[bool] = True

    def __init__(
        self, config: RunConfig, task: Task, source: str, folder: Path, progress: Progress, predicts_loss: bool
    ) -> None:
        super().__init__(config, task, source, folder, progress, predicts_loss)
        cache = open_cache(config, source, task)
        self._features = Features(task, source, cache, folder / "cache", config.scoring, progress)
        self._pool_size = 0
        self._unseen: dict[int, float] = {}  # by round, the bias of a class without any example
        self._moments: tuple[Array, float] | None = None

    @property
    def kept(self) -> int:
        """Bytes that are kept of each text of the pool: its features, in the cache and in the table of this run."""
        return 2 * self._features.bytes

    @property
    def scoring(self) -> ScoringConfig:
        """The sizes of batches that suit the model."""
        return self._config.scoring.model_copy(update={"batch_size": BATCH, "batch_tokens": BATCH})

    def view(self, corpus: Corpus) -> Dataset:
        """Return the fields of a set of texts, with a place in the features for each; the pool comes first."""
        tokens, n = corpus.encoded(self._task), len(corpus)
        columns = set(tokens.column_names) - set(corpus.dataset.column_names) - {"length", "rows"}
        first = self._features.add(tokens, sorted(columns))
        self._pool_size = self._pool_size or n
        ends = pa.array(np.arange(n + 1, dtype=np.int32))
        places = pa.ListArray.from_arrays(ends, pa.array(np.arange(first, first + n, dtype=np.int64)))
        ones = pa.array(np.ones(n, dtype=np.int64))
        numbers = Dataset(pa.table({"input_ids": places, "length": ones, "rows": ones}))
        return concatenate_datasets([corpus.dataset, numbers], axis=1)

    def require(self, examples: Dataset, rows: Positions | None = None) -> None:
        """See that the features of some rows (all if left out) are there."""
        places = _places(examples)
        self._features.require(places if rows is None else places[rows])

    def after(self, round: int) -> nn.Module:
        """Return the layer that was fitted in a round; a random one for round -1."""
        if self._current is None or self._current[0] != round:
            model = self._new() if round < 0 else self._load(round)
            self._current = (round, model.to(process_state().device).eval())
        return self._current[1]

    def _new(self) -> HeadNet:
        with torch_seeded(derive(self._config.seed, 0, "weights")):
            return HeadNet(self._features.rows, self._features.width, len(self._task.labels))

    def _load(self, round: int) -> HeadNet:
        """Read the layer of a checkpoint; labels that have come up since are classes without an example."""
        weight, bias, self._unseen[round] = read_head(self.place(round))
        return self._net(weight, bias, self._unseen[round])

    def _net(self, weight: Tensor, bias: Tensor, unseen: float) -> HeadNet:
        model = HeadNet(self._features.rows, weight.shape[1], len(self._task.labels))
        with torch.no_grad():
            model.output.weight.zero_()[: len(weight)] = weight
            model.output.bias.fill_(unseen)[: len(bias)] = bias
        return model

    def fit(self, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int = 0) -> Fit:
        """Fit the layer of a round to all labels; every attempt gives the same."""
        started = time.perf_counter()
        self.require(examples)
        batch = self._task.collate(fetch(examples, range(len(examples))))
        assert batch.labels is not None
        read = self._features.rows(_places(examples))
        mean, scale = self._standard()
        c, classes = self._strength(weights), len(self._task.labels)
        found = fit_linear(read[:, -1], batch.labels.numpy(), weights, classes, c, mean, scale)
        model = self._net(torch.from_numpy(found.weight), torch.from_numpy(found.bias), found.unseen)
        with torch.inference_mode():
            losses = self._task.loss(model.output(torch.from_numpy(read[:, -1])), batch)
        if not bool(torch.isfinite(losses).all()):
            raise BrokenModelError("The layer's loss is not a finite number: lower training.head_c.")
        self._current, self._masked_lm = (round, model.to(process_state().device).eval()), None
        self._unseen[round] = found.unseen
        self._head = (round, self._fit_loss_head(round, read, losses.clone())) if self._predicts_loss else None
        loss = float(np.average(losses.numpy(), weights=weights))
        return Fit(found.iterations, loss, time.perf_counter() - started)

    def _strength(self, weights: NDArray[np.float64]) -> float:
        """Return how much each label counts against the penalty: the less, the more there are.

        The mean loss is weighed by sqrt(n) in place of n. With a sum of losses the penalty fades as labels come in, and
        accuracy stands still where they are about as many as features (double descent: Nakkiran et al. 2021, Optimal
        regularization can mitigate double descent).
        """
        return self._config.training.head_c / float(np.sqrt(weights.sum()))

    def _standard(self) -> tuple[Array, float]:
        """Return mean (H,) and root mean variance of the features of the pool, or of a sample of it.

        One scale for all features: with a scale for each, accuracy was lower by up to .01 at 20 to 200 labels.
        """
        if self._moments is None:
            sample = generator(0, 0, "standardise").permutation(self._pool_size)[:SAMPLE]
            self._features.require(sample)
            read = self._features.rows(np.sort(sample))[:, -1]
            self._moments = (read.mean(0), float(np.sqrt(read.var(0).mean())) or 1.0)
        return self._moments

    def _fit_loss_head(self, round: int, read: Array, losses: Tensor) -> LossHead:
        """Train what predicts losses on those of the fitted layer; the encoder is not touched."""
        training, seed = self._config.training, self._config.seed
        steps = number_of_steps(len(read), training)
        with torch_seeded(derive(seed, 0, "loss head")):
            head = LossHead(read.shape[-1])
        optimizer = torch.optim.AdamW(head.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(steps, training.warmup))
        beside, hidden = LossPrediction(head), torch.from_numpy(read)
        lengths = np.ones(len(read), dtype=np.int64)
        size = training.batch_size * training.accumulation
        for number, rows in enumerate(step_batches(lengths, size, steps, generator(seed, round, "loss head"))):
            optimizer.zero_grad()
            torch.autograd.backward(beside.loss(hidden[rows], losses[rows], Place(number / steps, len(rows))))
            nn.utils.clip_grad_norm_(head.parameters(), training.clip)
            optimizer.step()
            rate.step()
        return head.to(process_state().device).eval()

    def token_losses(self, batch: Batch) -> TokenLosses:
        """Return the pretrained masked language model's losses, on the tokens that stand behind the places."""
        examples = self._features.examples(batch.inputs["input_ids"][:, 0].cpu().numpy())
        lengths = np.array([example["length"] for example in examples])
        order = np.argsort(lengths, kind="stable")
        found = []
        for first in range(0, len(order), self._config.scoring.batch_size):
            part = order[first : first + self._config.scoring.batch_size]
            tokens = self._task.collate([examples[row] for row in part]).to(process_state().device)
            found.append(token_losses(self.masked_lm(), tokens, self._task.tokenizer))
        return _joined(found, torch.from_numpy(np.argsort(order)))

    def _write(self, round: int, draft: Path) -> None:
        """Write the layer alone."""
        from safetensors.torch import save_file

        output = self.after(round).get_submodule("output")
        values = {name: value.detach().cpu().contiguous() for name, value in output.state_dict().items()}
        save_file({**values, "unseen": torch.tensor(self._unseen[round])}, draft / HEAD)

    def finish(self, round: int) -> None:
        """Leave encoder and layer, or what ``finish`` trained, in ``model/``, with what the next start goes on from."""
        wait()
        if is_main():
            place, tuned = self.place(round), tuned_folder(self._folder, round)
            with whole_folder(self._folder / "model") as draft:
                if self._config.finish == "full":
                    shutil.copytree(tuned, draft, dirs_exist_ok=True)
                elif self._config.whole:
                    write_whole(self._source, place, self._task, self._config.max_length, draft)
                for name in (HEAD, LOSS_HEAD, "fit.json"):
                    if (place / name).is_file():
                        shutil.copy(place / name, draft)
            for old in (self._folder / "checkpoints", self._folder / "finish"):
                shutil.rmtree(old, ignore_errors=True)
        wait()


def tuned_folder(folder: Path, round: int) -> Path:
    """Return where the model that was trained as a whole at the end of a run lies until it stands in ``model/``."""
    return folder / "finish" / "checkpoints" / f"round-{round}"


def read_head(folder: Path) -> tuple[Tensor, Tensor, float]:
    """Return the weight (C, H) and bias (C,) of a checkpoint's layer, and the bias of a class without any example."""
    from safetensors.torch import load_file

    values = load_file(folder / HEAD)
    return values["weight"], values["bias"], float(values["unseen"])


def load_whole(source: str, place: Path, task: Task, longest: int) -> nn.Module:
    """Return the classifier of an encoder and the layer of a checkpoint, for texts of so many tokens at most."""
    weight, bias, unseen = read_head(place)
    head = nn.Linear(weight.shape[1], len(task.labels))
    with torch.no_grad():
        head.weight.zero_()[: len(weight)] = weight
        head.bias.fill_(unseen)[: len(bias)] = bias
    return load_headed(source, task, longest, head)


def write_whole(source: str, place: Path, task: Task, longest: int, folder: Path) -> None:
    """Write the classifier of an encoder and the layer of a checkpoint, and its tokenizer, for ``from_pretrained``."""
    write_model(load_whole(source, place, task, longest), task, folder)


def _places(examples: Dataset) -> Positions:
    """Return the places of examples that ``HeadLearner.view`` made, (N,)."""
    column = examples.with_format("arrow", columns=["input_ids"])[:]["input_ids"]
    return np.asarray(pyarrow.compute.list_flatten(column).to_numpy(), dtype=np.int64)


def _joined(parts: list[TokenLosses], order: Tensor) -> TokenLosses:
    """Put batches of different lengths together, in another order."""
    longest = max(part.ids.shape[1] for part in parts)

    def pad(values: Tensor) -> Tensor:
        return nn.functional.pad(values, (0, longest - values.shape[1]))

    losses, ids, own = (
        torch.cat([pad(getattr(part, name)) for part in parts])[order.to(parts[0].ids.device)]
        for name in ("losses", "ids", "own")
    )
    return TokenLosses(losses, ids, own)
