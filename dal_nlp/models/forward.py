"""What one batch can be measured by: lazy properties of one forward pass.

Letters: see ``core/task.py``. What no probe touches is never computed; ``touched`` records what was.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from dal_nlp.core.categoricals import Categoricals
from dal_nlp.core.errors import Unsupported
from dal_nlp.core.task import Batch, Example, Task
from dal_nlp.models.auxiliary import AuxiliaryModels, TokenLosses
from dal_nlp.models.hooks import LayerRecorder
from dal_nlp.models.passes import Pass
from dal_nlp.models.pooled_states import PooledStates, spread_states
from dal_nlp.models.sketch import SIZE, tensor_sketch
from dal_nlp.models.vectors import Outer


@dataclass(frozen=True)
class Network:
    """A model with one batch before it, as kinds of draws see it.

    Attributes:
        model: In evaluation mode.
        head: Its output layer.
        run: Calls the model over all rows, in one or several calls; returns what it gives, (R, ..., A).
        through: Returns what the model gives where a function changes what goes into its head, (R, ..., H).
    """

    model: nn.Module
    head: nn.Module
    run: Callable[[], Tensor]
    through: Callable[[Callable[[Tensor], Tensor]], Tensor]


class Draws(Protocol):
    """A kind of posterior draws.

    Attributes:
        k: How many there are.
        consistent: Whether draw k stands for the same parameters in every example, whatever the batching.
    """

    k: int
    consistent: bool

    def draw(self, network: Network, k: int) -> Tensor:
        """Return the raw output (R, ..., A) under draw k; the model is left in evaluation mode."""

    def name(self, k: int) -> str:
        """Return what tells draw k from those of other kinds, rounds and seeds."""

    def sampled(self, model: nn.Module, head: nn.Module, k: int) -> AbstractContextManager[None]:
        """Have the model be that of draw k for a block, whoever calls it; it is left in evaluation mode."""


class Forward:
    """One batch in memory, measured by probes.

    Args:
        model: In evaluation mode.
        task: How raw output becomes log-probabilities.
        batch: On the model's device, B examples in R rows.
        examples: The B examples it was made of.
        draws: How posterior draws are taken.
        max_rows: Most rows in one call of the model; an example of more rows is spread over several calls.
        companions: Networks beside the model; none if left out.
        states: Whether the pass that is scored gives hidden states too; where it does not, they take a pass of their
            own once something reads them.

    Attributes:
        touched: What was read.
        reads_states: Whether the model's hidden states were among it.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        batch: Batch,
        examples: Sequence[Example],
        draws: Draws,
        max_rows: int,
        companions: AuxiliaryModels | None = None,
        states: bool = False,
    ) -> None:
        self.examples = examples
        self.reads_states = False
        self._with_states = states
        self.touched: set[str] = set()
        self._model, self._task, self._draws, self._max_rows = model, task, draws, max_rows
        self._head = task.head(model)
        self.given = batch
        self._companions = companions or AuxiliaryModels()

    @cached_property
    def _prepared(self) -> Batch:
        """The batch with what all readings of it share, such as the result of an encoder beside a decoder."""
        with torch.no_grad():  # no inference mode, here and below: what a model keeps of a pass must serve training too
            return self._task.prepare(self._model, self.given)

    @cached_property
    def batch(self) -> Batch:
        """The batch as scored; sequence-to-sequence tasks add the model's own hypothesis."""
        prepared = self._prepared
        with torch.inference_mode(False), torch.no_grad():  # ordinary tensors, which autograd accepts
            return self._task.inputs(self._model, prepared, self._companions.written)

    def _slices(self, batch: Batch) -> Iterator[dict[str, Any]]:
        rows = len(batch.owner)
        if rows <= self._max_rows:
            yield batch.inputs
            return
        for start in range(0, rows, self._max_rows):
            yield {name: values[start : start + self._max_rows] for name, values in batch.inputs.items()}

    def _raw(self, batch: Batch) -> Tensor:
        """Run the model over all rows; return what it gives, (R, ..., A)."""
        return torch.cat([self._task.logits(self._model(**inputs)) for inputs in self._slices(batch)])

    @cached_property
    def _pass(self) -> Pass:
        """The one deterministic pass over all rows, as ordinary tensors, which autograd accepts."""
        applied, states, name = [], [], type(self._model).__name__
        batch = self.batch
        options = {"output_hidden_states": True} if self._with_states else {}
        with torch.inference_mode(False), LayerRecorder(self._head) as tap:
            for inputs in self._slices(batch):
                with torch.no_grad():
                    result = self._model(**inputs, **options)
                    applied.append(tap.read(self._task.logits(result), name))
                if self._with_states:
                    states.append(PooledStates.of(result, inputs, name))
        return Pass(applied, states)

    @cached_property
    def categoricals(self) -> Categoricals:
        """The prediction as categorical distributions."""
        self.touched.add("log_probs")
        return self._task.categoricals(self._pass.raw, self.batch)

    @property
    def log_probs(self) -> Tensor:
        """Log-probabilities, (B, F, C); where examples have outcomes of their own, padded with -inf."""
        return self.categoricals.table()

    @property
    def mask(self) -> Tensor:
        """Which factors exist, (B, F)."""
        return self.categoricals.mask

    def text(self, i: int, outcome: int) -> str:
        """Return what an outcome of example i of the batch says, normalised; see ``Categoricals.numbers``."""
        return self._task.outcome(self.examples[i], outcome)

    @cached_property
    def embedding(self) -> Tensor:
        """The mean of the encoder's last hidden states over the tokens, (B, H); or a sentence encoder's embedding."""
        self.touched.add("embedding")
        encoder = self._companions.sentence_encoder()
        if encoder is None:
            return self._means[:, -1]
        return encoder.embed([self._task.show(example) for example in self.examples])

    @cached_property
    def hidden(self) -> Tensor:
        """Mean-pooled states of a few layers spread evenly over the encoder, (B, 4, H)."""
        self.touched.add("hidden")
        return self._means

    @cached_property
    def _means(self) -> Tensor:
        encoded = self._prepared.inputs.get("encoder_outputs")  # then nothing needs to be decoded
        name = type(self._model).__name__
        with torch.no_grad():
            if encoded is not None:
                return spread_states([PooledStates.of(encoded, self._prepared.inputs, name)], self._prepared)
            self.reads_states = True
            if "_pass" not in self.__dict__:
                self._with_states = True  # the pass that is to come serves this too
            states = self._pass.states or self._states_alone()
            return spread_states(states, self._prepared)

    def _states_alone(self) -> list[PooledStates]:
        name = type(self._model).__name__
        return [
            PooledStates.of(self._model(**inputs, output_hidden_states=True), inputs, name)
            for inputs in self._slices(self.batch)
        ]

    @cached_property
    def predicted_loss(self) -> Tensor:
        """The loss that the loss-prediction head expects of each example, (B,); see ``loss_prediction``."""
        self.touched.add("predicted_loss")
        with torch.no_grad():
            predicted: Tensor = self._companions.loss_head()(self.hidden)
        return predicted

    @cached_property
    def two_views(self) -> tuple[Tensor, Tensor]:
        """Log-probabilities (B, C) by the model that reads the text alone, and by what machines add to the logits."""
        self.touched.add("two_views")
        alone, offset = self._companions.text_model(), self._pass.offset
        with torch.no_grad():
            raw = torch.cat([self._task.logits(alone(**inputs)) for inputs in self._slices(self.batch)]).float()
            added = torch.zeros_like(raw) if offset is None else offset
            return raw.log_softmax(-1), added.log_softmax(-1)

    @cached_property
    def token_losses(self) -> TokenLosses:
        """The pretrained masked language model's losses on the tokens; see ``companions``."""
        self.touched.add("token_losses")
        return self._companions.token_losses(self.given, self._task.tokenizer)

    @cached_property
    def gradient(self) -> Outer:
        """The gradient of - log p(the model's answer) by the output layer's weight, without its bias.

        Ash et al. (2020), section 3: the model's answer stands in for the unknown label. The derivative by the layer's
        outputs comes from autograd, through the task's log-probabilities and whatever the model does behind the layer,
        so it needs no formula of the task and no list of models. Where the layer's results at many positions count,
        the products are summed up: of A outputs by H inputs, A outer products are left, each of a unit vector and H
        numbers, in place of one for each position of each row. Where A is a vocabulary, the sum is reduced to
        ``sketch.SIZE`` numbers (the right side of one product), whose distances are those of the gradients up to a
        random error; the paper has no such case. Of a text of many words, those stand for it of which the model is
        least sure; see ``Categoricals.over_least_confident``.
        """
        self.touched.add("gradient")
        raw = self._pass.raw.detach().requires_grad_(True)
        with torch.inference_mode(False), torch.enable_grad():
            c = self._task.categoricals(raw, self.batch)
            loss = -c.over_least_confident(c.at(c.answered().detach())).sum()
        (by_raw,) = torch.autograd.grad(loss, raw)
        sizes = [len(part.raw) for part in self._pass.applied]
        pulled = [part.pulled(d) for part, d in zip(self._pass.applied, torch.split(by_raw, sizes), strict=True)]
        delta, inputs = (torch.cat(parts) for parts in zip(*pulled, strict=True))
        if delta.dim() == 2 and len(delta) == self.batch.size:
            return Outer(_numpy(delta[:, None]), _numpy(inputs[:, None]))
        if delta.dim() == 2:  # several rows of an example
            delta, inputs = delta[:, None], inputs[:, None]
        if delta.shape[-1] > SIZE:
            sketched = tensor_sketch(delta, inputs, self.batch.owner, self.batch.size)
            return Outer(_numpy(torch.ones_like(sketched[:, :1, None])), _numpy(sketched[:, None]))
        total = inputs.new_zeros((self.batch.size, delta.shape[-1], inputs.shape[-1]))
        total.index_add_(0, self.batch.owner, delta.mT @ inputs)
        units = torch.eye(delta.shape[-1]).expand(self.batch.size, -1, -1)
        return Outer(_numpy(units), _numpy(total))

    @property
    def layer_inputs(self) -> Tensor:
        """The one vector of each example that the output layer turns into its logits, (B, H).

        Where the layer is applied to every token and one is chosen, or their mean taken, it is the same choice or mean
        of what goes into the layer.

        Raises:
            Unsupported: There is none.
        """
        self.touched.add("gradient")
        inputs = self._pass.inputs
        if inputs is None or inputs.dim() != 2 or len(inputs) != self.batch.size:
            raise Unsupported(
                f"This strategy reads the one vector that the output layer turns into the logits, and "
                f"{type(self._model).__name__} has none: choose another one, such as entropy or BADGE."
            )
        return inputs

    @property
    def loss(self) -> Tensor:
        """The training loss of each example, (B,); the examples must have targets."""
        self.touched.add("loss")
        with torch.no_grad():  # not the pass that is scored, which may read the model's own hypothesis
            return self._task.loss(self._raw(self._prepared).float(), self._prepared)

    @property
    def samples(self) -> Iterator[list[str]]:
        """K texts for each example, B of them at a time: what the model writes under each posterior draw."""
        self.touched.add("samples")
        prepared, cache = self._prepared, self._companions.written  # made before the model is sampled
        for k in range(self._draws.k):
            with torch.no_grad(), self._draws.sampled(self._model, self._head, k):
                texts = self._task.write(self._model, prepared, cache, self._draws.name(k))
            yield texts

    @property
    def draws(self) -> Iterator[Categoricals]:
        """K predictions under K posterior draws, one in memory at a time."""
        self.touched.add("draws")
        return self._draw_all()

    @property
    def consistent_draws(self) -> Iterator[Categoricals]:
        """The same, for strategies that compare draw k of one example with draw k of another.

        Raises ``Unsupported`` where the kind of draws gives every example parameters of its own.
        """
        if not self._draws.consistent:
            raise Unsupported(
                "This strategy compares draws between examples, and draws.kind full gives every example masks of its "
                "own: use --set draws.kind=fixed."
            )
        return self.draws

    def _draw_all(self) -> Iterator[Categoricals]:
        batch = self.batch  # made before the first draw: a hypothesis is the model's own, not one draw's
        network = Network(self._model, self._head, lambda: self._raw(batch), self._through)
        for k in range(self._draws.k):
            with torch.no_grad():
                raw = self._draws.draw(network, k)
                yield self._task.categoricals(raw.float(), batch)

    def _through(self, change: Callable[[Tensor], Tensor]) -> Tensor:
        """Return what the model gives where a function changes what goes into the output layer, (R, ..., A).

        One pass serves all functions, unless the model does with the layer's result what only it can do.
        """
        inputs, offset = self._pass.inputs, self._pass.offset
        if inputs is None:
            with self._head.register_forward_pre_hook(lambda _, args: (change(args[0]), *args[1:])):
                return self._raw(self.batch).float()
        result: Tensor = self._head(change(inputs).to(next(self._head.parameters()).dtype)).float()
        return result if offset is None else result + offset


def _numpy(values: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return values.detach().cpu().numpy()
