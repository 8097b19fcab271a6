"""Learning to predict the loss: a small network on the model's hidden states, trained beside the task.

Yoo and Kweon (2019), Learning loss for active learning, sections 3.2 and 3.3. Losses shrink while the model learns, so
the network is not taught their values but which of two examples of a batch has the larger one.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from dal_nlp.core.errors import Unsupported
from dal_nlp.core.task import Batch
from dal_nlp.models.pooled_states import LAYERS, PooledStates, spread_states
from dal_nlp.models.trainer import StepInfo

#: Outputs of the layer that reads one layer of the model.
WIDTH = 128
#: By how much two predictions are to differ, in the unit of the predictions.
MARGIN = 1.0
#: What the pairs' loss counts beside the task's (lambda in the paper).
SHARE = 1.0
#: Share of the steps after which the model no longer learns from the pairs (epoch 120 of 200 in the paper).
DETACHED = 0.6
#: Its file in a checkpoint.
FILE = "loss_head.safetensors"


class LossHead(nn.Module):
    """Each of four layers' mean states through a linear layer and ReLU, all of them together through one more.

    Args:
        width: H, numbers of a hidden state.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, WIDTH) for _ in range(LAYERS))
        self.out = nn.Linear(LAYERS * WIDTH, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the predicted losses, (B,), of hidden states (B, 4, H); only their order means something."""
        read = [layer(hidden[:, i]).relu() for i, layer in enumerate(self.layers)]
        predicted: Tensor = self.out(torch.cat(read, dim=-1))
        return predicted[:, 0]


def pairwise_loss(predicted: Tensor, losses: Tensor, size: int) -> Tensor:
    """Return the mean of max(0, margin - s (predicted_i - predicted_j)) over pairs (i, j); s = 1 if l_i > l_j else -1.

    Of a share of a batch it is the pairs' sum over the number of all pairs, so that the shares add up to the mean.
    Example i of a batch is paired with example B - 1 - i, the last one of an odd batch left out (the paper's equation
    2). A batch without a pair gives 0, which can be differentiated like any other.

    Args:
        predicted: (B,).
        losses: (B,), taken as they are: nothing flows back into them.
        size: Examples of the batch, of which these are all or a share (see ``training.split``).
    """
    pairs = len(predicted) // 2
    first, second = predicted[:pairs], predicted[pairs : 2 * pairs].flip(0)
    a, b = losses.detach()[:pairs], losses.detach()[pairs : 2 * pairs].flip(0)
    sign = torch.where(a > b, 1.0, -1.0)
    return (MARGIN - sign * (first - second)).relu().sum() / max(1, size // 2)


class LossPrediction:
    """Teaches a ``LossHead`` while a task is trained: the hook of ``training.fit``.

    Until ``DETACHED`` of the steps the model learns from the pairs too; after that the head follows the model alone.

    Args:
        module: The head.
    """

    def __init__(self, module: LossHead) -> None:
        self.module: nn.Module = module

    def loss(self, hidden: Tensor, losses: Tensor, place: StepInfo) -> Tensor:
        """Return what is added to the loss of a batch; see ``training.Beside``."""
        predicted = self.module(hidden if place.done < DETACHED else hidden.detach())
        return SHARE * pairwise_loss(predicted, losses, place.size)


def hidden_width(model: nn.Module, batch: Batch) -> int:
    """Return H of ``Forward.hidden``, by one call of the model, which is in evaluation mode."""
    with torch.no_grad():
        result = model(**batch.inputs, output_hidden_states=True)
        return spread_states([PooledStates.of(result, batch.inputs, type(model).__name__)], batch).shape[-1]


def save_head(head: nn.Module, folder: Path) -> None:
    """Write a head beside the model of a checkpoint; ``from_pretrained`` passes over it."""
    from safetensors.torch import save_file

    save_file({name: values.cpu().contiguous() for name, values in head.state_dict().items()}, folder / FILE)


def load_head(folder: Path) -> LossHead:
    """Read the head of a checkpoint, in evaluation mode; raises ``Unsupported`` where it has none."""
    from safetensors.torch import load_file

    if not (folder / FILE).is_file():
        raise Unsupported(
            "The last model of this run has not learnt to predict losses, as no strategy had required it when it was "
            "trained: let another strategy choose this round, or choose another --out."
        )
    weights = load_file(folder / FILE)
    head = LossHead(weights["layers.0.weight"].shape[1])
    head.load_state_dict(weights)
    return head.eval()
