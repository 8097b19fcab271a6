"""A language model on this machine that writes: what it is asked is cut to what it reads, and it writes in batches."""

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from dal_nlp.core.distributed import process_state
from dal_nlp.core.text import counted
from dal_nlp.pretrained.loading import load_config, load_model, load_tokenizer, resolve, weights_key
from dal_nlp.signals.base import MachineAnswer, Making, Signal
from dal_nlp.signals.language_model import BATCH_TOKENS, LONGEST, as_turn, fitting
from dal_nlp.signals.prompt import Prompt

#: What ends the prompt of an encoder with a decoder; ``as_turn`` ends that of a decoder alone.
TURN = "\n\nAnswer:"
#: Texts of a batch.
BATCH = 16


class Writer(Signal):
    """A causal or sequence-to-sequence model that writes, greedily.

    Attributes:
        most: Tokens that it may write.
        cut: What is cut at its end where a prompt is too long.
        writes: What it writes.

    Args:
        making: Its target is a folder or Hub id.
    """

    most: ClassVar[int]
    cut: ClassVar[str]
    writes: ClassVar[str]
    _prompt: Prompt

    def __init__(self, making: Making) -> None:
        super().__init__(making)
        self._source = resolve(making.target, making.progress)
        self._cut, self._endless = 0, 0

    @property
    def weights_key(self) -> str:
        """What stands for its weights."""
        return weights_key(self._source)

    @cached_property
    def _loaded(self) -> tuple[Any, Any, bool]:
        self._progress.say(f"Loading the language model {self._making.target}")
        pair = bool(load_config(self._source).is_encoder_decoder)
        model: Any = load_model("AutoModelForSeq2SeqLM" if pair else "AutoModelForCausalLM", self._source)
        tokenizer: Any = load_tokenizer(self._source)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer, model.float().to(process_state().device).eval(), pair

    def asked(self, before: str, text: str) -> str:
        """Return the prompt of a text, but for what ends it; see ``parted``."""
        return self._prompt.of(text)

    def parted(self, text: str) -> tuple[str, str]:
        """Return the part of a text that is never cut, and the other."""
        return "", text

    @abstractmethod
    def read(
        self, tokens: Sequence[int], log_probs: Sequence[float], ends: Collection[int]
    ) -> tuple[float | None, str]:
        """Return the log-probability of an answer, None for no answer, and the answer as it came.

        Args:
            tokens: That were written.
            log_probs: Of each.
            ends: Tokens after which nothing is written.
        """

    def ended(self, text: str) -> bool:
        """Tell whether an answer was complete before the writing was broken off."""
        return False

    def shown(self, text: str) -> str:
        """Return the prompt."""
        return self._prompted(*self.parted(text))

    def _prompted(self, before: str, text: str) -> str:
        tokenizer, _, pair = self._loaded
        prompt = self.asked(before, text)
        return prompt + TURN if pair else as_turn(tokenizer, prompt)

    def remarks(self) -> list[str]:
        """Return how many texts were cut, and how many answers."""
        told = (
            (self._cut, self.cut, f"to {LONGEST} tokens of a prompt"),
            (self._endless, self.writes, f"at {self.most} tokens"),
        )
        were = {True: "was", False: "were"}
        return [f"{counted(n, thing)} {were[n == 1]} cut {where}." for n, thing, where in told if n]

    def answers(self, texts: Sequence[str], ids: Sequence[str]) -> Iterator[MachineAnswer]:
        """Yield what is read in what is written about each text."""
        prompts = [self._fitting(text) for text in texts]
        order = np.argsort([length for _, length in prompts], kind="stable")
        by_row: dict[int, MachineAnswer] = {}
        first = 0
        while first < len(order):
            size = max(1, BATCH_TOKENS // prompts[order[min(first + BATCH, len(order)) - 1]][1])
            rows = order[first : first + min(BATCH, size)].tolist()
            replies = self._write([prompts[row][0] for row in rows])
            for row, (log_p, raw) in zip(rows, replies, strict=True):
                by_row[row] = MachineAnswer(None if log_p is None else (log_p,), raw, prompts[row][1])
            first += len(rows)
        yield from (by_row[row] for row in range(len(texts)))

    def _fitting(self, text: str) -> tuple[str, int]:
        """Return the prompt of a text, which is cut where it is too long, and its number of tokens."""
        before, rest = self.parted(text)
        prompt, length, cut = fitting(self._loaded[0], rest, lambda kept: self._prompted(before, kept))
        self._cut += cut
        return prompt, length

    @torch.inference_mode()
    def _write(self, prompts: Sequence[str]) -> list[tuple[float | None, str]]:
        """Return what is read in what is written after each prompt."""
        tokenizer, model, pair = self._loaded
        read = tokenizer(list(prompts), return_tensors="pt", padding=True, padding_side="right" if pair else "left")
        ids, mask = read["input_ids"].to(model.device), read["attention_mask"].to(model.device)
        settings = {
            "do_sample": False,
            "num_beams": 1,
            "max_new_tokens": self.most,
            "pad_token_id": tokenizer.pad_token_id,
        }
        made = model.generate(
            input_ids=ids, attention_mask=mask, output_scores=True, return_dict_in_generate=True, **settings
        )
        log_probs = model.compute_transition_scores(made.sequences, made.scores, normalize_logits=True)
        new = made.sequences[:, -log_probs.shape[1] :]
        end = model.generation_config.eos_token_id
        ends = {end} if isinstance(end, int) else set(end or [])
        for row in new.tolist():
            text = tokenizer.decode(row, skip_special_tokens=True).lstrip()
            cut = len(row) >= self.most and ends.isdisjoint(row)
            self._endless += bool(text) and cut and not self.ended(text)
        return [
            self.read(row, scores, ends) for row, scores in zip(new.tolist(), log_probs.double().tolist(), strict=True)
        ]
