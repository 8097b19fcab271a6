"""Classifiers as signals: a model with a map from its labels to the run's, entailment without one, an earlier run.

Letters: B texts of a batch, C labels of the run, K outputs of the model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dal_nlp.core.distributed import process_state
from dal_nlp.core.errors import UserError
from dal_nlp.pretrained.loading import known_labels, load_config, load_model, load_tokenizer, resolve, weights_key
from dal_nlp.signals.base import MachineAnswer, Making, Signal, log_softmax

#: Most tokens of a text, and texts in a batch.
LONGEST, BATCH = 512, 32
#: What is said of a text to an entailment model, where the option ``hypothesis`` says nothing else.
HYPOTHESIS = "This text is {}."
#: The log-probability of a label that no output of a model stands for.
NEVER = -20.0


class Classifier(Signal):
    """A sequence classifier: outputs of the run's labels count; an entailment model judges a sentence for each label.

    Args:
        making: Its target is a folder or Hub id; an option ``OUTPUT=LABEL`` says what an output means, and
            ``hypothesis`` holds {} for the words of a label.

    Raises:
        UserError: No output means a label of the run, and the model knows no entailment.
    """

    def __init__(self, making: Making) -> None:
        super().__init__(making)
        self._source = resolve(making.target, making.progress)
        self._hypothesis = making.options.get("hypothesis", HYPOTHESIS)
        outputs = known_labels(load_config(self._source))
        mapped = {name: label for name, label in making.options.items() if name != "hypothesis"}
        for name, label in mapped.items():
            if name not in outputs or label not in self._labels.names:
                raise UserError(
                    f"model:{making.target}: {name}={label} maps no output ({', '.join(outputs)}) to a label."
                )
        plain = {label.casefold(): number for number, label in enumerate(self._labels.names)}
        plain |= {words.casefold(): number for number, words in enumerate(self._labels.spoken)}
        meant = [mapped.get(name, name).casefold() for name in outputs]
        self._meaning = [plain.get(name, -1) for name in meant]
        entailed = [output for output, name in enumerate(meant) if name.startswith("entail")]
        self._entailed = entailed[0] if entailed and max(self._meaning) < 0 else None
        if self._entailed is None and max(self._meaning) < 0:
            raise UserError(
                f"model:{making.target} has the outputs {', '.join(outputs)}, none of which is a label of the run: add "
                f"OUTPUT=LABEL to it, such as {outputs[0]}={self._labels.names[0]}."
            )

    @property
    def key(self) -> str:
        """Weights, and what the outputs mean."""
        parts = [self._hypothesis, *self._labels.spoken] if self._entailed is not None else map(str, self._meaning)
        return "\n".join([weights_key(self._source), *self._labels.names, *parts])

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        tokenizer: Any = load_tokenizer(self._source)
        model = load_model("AutoModelForSequenceClassification", self._source, fresh=False)
        return tokenizer, model.to(process_state().device).eval()

    def answers(self, texts: Sequence[str], ids: Sequence[str]) -> Iterator[MachineAnswer]:
        """Yield log-probabilities; those of several outputs of one label are added up."""
        order = np.argsort([len(text) for text in texts], kind="stable")
        log_probs = np.zeros((len(texts), len(self._labels.names)))
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            log_probs[rows] = self._scores([texts[row] for row in rows])
        for scores in log_probs:
            yield MachineAnswer(tuple(scores.tolist()), self._labels.spoken[int(scores.argmax())])

    def _scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the log-probabilities of the labels, (B, C)."""
        if self._entailed is not None:
            columns = []
            for words in self._labels.spoken:
                logits = self._logits(texts, [self._hypothesis.replace("{}", words)] * len(texts))
                columns.append(log_softmax(logits)[:, self._entailed])
            return log_softmax(np.stack(columns, 1))
        log_p = log_softmax(self._logits(texts, None))
        by_label = np.full((len(texts), len(self._labels.names)), NEVER)
        for output, label in enumerate(self._meaning):
            if label >= 0:
                by_label[:, label] = np.logaddexp(by_label[:, label], log_p[:, output])
        return log_softmax(by_label)

    @torch.inference_mode()
    def _logits(self, texts: Sequence[str], pairs: Sequence[str] | None) -> NDArray[np.float64]:
        """Return the logits of texts, or of pairs, (B, K)."""
        tokenizer, model = self._loaded
        most = int(min(LONGEST, tokenizer.model_max_length))
        cut = "only_first" if pairs else True
        read = tokenizer(list(texts), pairs, return_tensors="pt", padding=True, truncation=cut, max_length=most)
        logits: torch.Tensor = model(**read.to(process_state().device)).logits
        return np.asarray(logits.double().cpu().numpy())


class EarlierRun(Classifier):
    """The model that an earlier run has left.

    Args:
        making: Its target is the run folder; for the options see ``Classifier``.

    Raises:
        UserError: There is none there.
    """

    def __init__(self, making: Making) -> None:
        folder = Path(making.target) / "model"
        if not (folder / "config.json").is_file():
            raise UserError(f"{making.target} holds no finished model: let that run end, with `whole` as it is.")
        super().__init__(replace(making, target=str(folder)))
