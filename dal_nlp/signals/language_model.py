"""A language model on this machine as a signal: how probable it finds the words of each label after a prompt.

Letters: B texts of a batch, C labels, L tokens of the longest label, P tokens of a prompt.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dal_nlp.core.distributed import process_state
from dal_nlp.core.errors import UserError
from dal_nlp.core.text import counted
from dal_nlp.pretrained.loading import load_config, load_model, load_tokenizer, resolve, weights_key
from dal_nlp.signals.base import MachineAnswer, Making, Signal, log_softmax
from dal_nlp.signals.prompt import Prompt

#: Most tokens of a prompt; of a longer one the text is cut, never the question.
LONGEST = 512
#: Tokens of the prompts in one batch.
BATCH_TOKENS = 4096


class LocalModel(Signal):
    """A causal or sequence-to-sequence model: log p(label | prompt) less log p(label | prompt of an empty text).

    The subtraction is contextual calibration (Zhao et al. 2021, Calibrate before use).

    Args:
        making: Its target is a folder or Hub id; what is asked is said by the settings ``llm``.
    """

    def __init__(self, making: Making) -> None:
        super().__init__(making)
        self._source = resolve(making.target, making.progress)
        self._prompt = Prompt(making.llm.prompt, making.guidelines, making.labels, making.llm.demonstrations)
        self._cut = 0

    @property
    def key(self) -> str:
        """Weights, prompt and words."""
        return "\n".join([weights_key(self._source), self._prompt.of("{text}"), *self._labels.spoken])

    def shown(self, text: str) -> str:
        """Return the prompt."""
        return self._scorer.prompted(self._prompt.of(text))

    def remarks(self) -> list[str]:
        """Return how many texts were cut."""
        were = "was" if self._cut == 1 else "were"
        return [f"{counted(self._cut, 'text')} {were} cut to {LONGEST} tokens of a prompt."] if self._cut else []

    @cached_property
    def _scorer(self) -> "Scorer":
        config = load_config(self._source)
        kind = Seq2SeqScorer if config.is_encoder_decoder else CausalScorer
        self._progress.say(f"Loading the language model {self._making.target}")
        return kind(self._source, self._labels.spoken)

    @cached_property
    def _empty(self) -> NDArray[np.float64]:
        """Scores of the labels for an empty text, (C,)."""
        length = len(self._scorer.tokenizer(self._prompt.of(""))["input_ids"])
        if length >= LONGEST:
            raise UserError(
                f"The prompt has {length} tokens without a text, and {LONGEST} are read: shorten it, or lower "
                "--llm-examples."
            )
        scores: NDArray[np.float64] = self._scorer.score([self._prompt.of("")])[0]
        return scores

    def answers(self, texts: Sequence[str], ids: Sequence[str]) -> Iterator[MachineAnswer]:
        """Yield the calibrated log-probabilities, and the most probable label as the raw answer."""
        empty = self._empty
        read = [fitting(self._scorer.tokenizer, text, self._prompt.of) for text in texts]
        prompts, lengths, cut = zip(*read, strict=True) if read else ((), (), ())
        self._cut += sum(cut)
        log_probs = np.zeros((len(texts), len(self._labels.names)))
        order = np.argsort(lengths, kind="stable")
        first = 0
        while first < len(order):
            size = max(1, BATCH_TOKENS // lengths[order[min(first + 32, len(order)) - 1]])
            rows = order[first : first + min(32, size)]
            log_probs[rows] = self._scorer.score([prompts[row] for row in rows])
            first += len(rows)
        for scores, length in zip(log_softmax(log_probs - empty), lengths, strict=True):
            yield MachineAnswer(tuple(scores.tolist()), self._labels.spoken[int(scores.argmax())], int(length))


def fitting(tokenizer: Any, text: str, prompted: Callable[[str], str]) -> tuple[str, int, bool]:
    """Return the prompt of a text, its number of tokens, and whether the text was cut for it, to ``LONGEST``.

    Args:
        tokenizer: Of the model.
        text: What may be cut, at its end.
        prompted: Gives the prompt of a text.
    """
    prompt = prompted(text)
    length = len(tokenizer(prompt)["input_ids"])
    if length <= LONGEST:
        return prompt, length, False
    own = tokenizer(text, add_special_tokens=False)["input_ids"]
    kept = tokenizer.decode(own[: max(0, len(own) - (length - LONGEST))], skip_special_tokens=True)
    return prompted(kept), LONGEST, True


class Scorer(ABC):
    """Gives the log-probabilities of labels after prompts.

    Args:
        source: Folder or Hub id.
        words: Of the labels.

    Raises:
        UserError: The tokenizer makes nothing of a label.
    """

    auto_class = ""
    before = ""  # what stands before the words of a label

    def __init__(self, source: str, words: Sequence[str]) -> None:
        self.tokenizer: Any = load_tokenizer(source)
        self.model: Any = load_model(self.auto_class, source).float().to(process_state().device).eval()
        ids = [self.tokenizer(self.before + word, add_special_tokens=False)["input_ids"] for word in words]
        if not all(ids):
            raise UserError(f"The tokenizer of {source} knows no word of a label: give others under llm.words.")
        longest = max(map(len, ids))
        device: torch.device = process_state().device
        self.labels = torch.tensor([row + [0] * (longest - len(row)) for row in ids], device=device)  # (C, L)
        self.mask = torch.tensor([[1.0] * len(row) + [0.0] * (longest - len(row)) for row in ids], device=device)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    def prompted(self, prompt: str) -> str:
        """Return a prompt as the model reads it."""
        return prompt

    @torch.inference_mode()
    def score(self, prompts: Sequence[str]) -> NDArray[np.float64]:
        """Return the summed log-probability of each label's tokens, (B, C)."""
        log_probs = self._log_probs([self.prompted(prompt) for prompt in prompts])  # (B, C, L)
        return np.asarray((log_probs * self.mask).sum(-1).double().cpu().numpy())

    @abstractmethod
    def _log_probs(self, prompts: Sequence[str]) -> Tensor:
        """Return the log-probability of each token of each label, (B, C, L)."""

    def _tokens(self, prompts: Sequence[str], side: str) -> tuple[Tensor, Tensor]:
        """Return ids and mask of prompts, (B, P)."""
        encoded = self.tokenizer(list(prompts), return_tensors="pt", padding=True, padding_side=side)
        return encoded["input_ids"].to(self.model.device), encoded["attention_mask"].to(self.model.device)


class Seq2SeqScorer(Scorer):
    """An encoder reads the prompt once, the decoder the labels."""

    auto_class = "AutoModelForSeq2SeqLM"

    def _log_probs(self, prompts: Sequence[str]) -> Tensor:
        ids, mask = self._tokens(prompts, "right")
        count, (classes, length) = len(ids), self.labels.shape
        states = self.model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        start = self.labels.new_full((classes, 1), self.model.config.decoder_start_token_id)
        decoder = torch.cat([start, self.labels[:, :-1]], 1).repeat(count, 1)
        logits = self.model(
            encoder_outputs=(states.repeat_interleave(classes, 0),),
            attention_mask=mask.repeat_interleave(classes, 0),
            decoder_input_ids=decoder,
            use_cache=False,
        ).logits
        picked = logits.float().log_softmax(-1).gather(-1, self.labels.repeat(count, 1)[..., None])
        log_probs: Tensor = picked[..., 0].reshape(count, classes, length)
        return log_probs


def as_turn(tokenizer: Any, prompt: str) -> str:
    """Return a prompt as a decoder reads it: a turn of a chat, where its tokenizer knows chats."""
    if getattr(tokenizer, "chat_template", None) is None:
        return f"{prompt}\nAnswer:"
    turn = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))


class CausalScorer(Scorer):
    """A decoder reads the prompt once; each label goes on from its keys and values."""

    auto_class = "AutoModelForCausalLM"
    before = " "

    def __init__(self, source: str, words: Sequence[str]) -> None:
        self._chat = getattr(load_tokenizer(source), "chat_template", None) is not None
        self.before = "" if self._chat else " "
        super().__init__(source, words)

    def prompted(self, prompt: str) -> str:
        """Return a prompt as a turn of a chat, where the model knows chats."""
        return as_turn(self.tokenizer, prompt)

    def _log_probs(self, prompts: Sequence[str]) -> Tensor:
        ids, mask = self._tokens(prompts, "left")
        places = (mask.cumsum(1) - 1).clamp(min=0)
        read = self.model(input_ids=ids, attention_mask=mask, position_ids=places, use_cache=True)
        first = read.logits[:, -1:].float().log_softmax(-1)  # (B, 1, V)
        by_label = []
        for label in self.labels:
            rows = label.expand(len(ids), -1)
            log_probs = first
            if len(label) > 1:
                length = rows.shape[1] - 1
                further = places[:, -1:] + 1 + torch.arange(length, device=ids.device)
                whole = torch.cat([mask, mask.new_ones(len(ids), length)], 1)
                after = self.model(
                    input_ids=rows[:, :-1],
                    attention_mask=whole,
                    position_ids=further,
                    past_key_values=copy.deepcopy(read.past_key_values),
                    use_cache=True,
                ).logits
                log_probs = torch.cat([first, after.float().log_softmax(-1)], 1)
            by_label.append(log_probs.gather(-1, rows[..., None])[..., 0])
        return torch.stack(by_label, 1)
