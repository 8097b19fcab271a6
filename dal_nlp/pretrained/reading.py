"""How a model has to be fed: how many tokens it reads, and how texts of different lengths may stand in one batch.

Both are measured on the model itself, with a long and a short text made of its tokenizer's words, so that no list of
families is needed. What is found is kept in ``config.json`` and in the tokenizer, which are saved with the model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dal_nlp.core.errors import ModelError
from dal_nlp.core.rng import rng_for, torch_seeded
from dal_nlp.core.task import Feeding, pad
from dal_nlp.pretrained.tokenizers import check_embeddings

#: In a model's configuration: on which side its texts are padded, or that those of a batch are of equal length.
PADDING = "dal_nlp_padding"
Padding = Literal["right", "left", "equal"]
#: What a model is called with -> what it says of each row, as far as padding has no part in it.
Read = Callable[[Mapping[str, Tensor]], Sequence[Tensor] | Tensor]

#: Differences above this share of the largest number are no rounding, in single precision and in lower ones.
TOLERANCE, COARSE = 1e-4, 16
#: Tokens of the short text, and what lengths that are proposed are multiples of.
SHORT, STEP = 7, 32
#: What a model raises that cannot read what it is given.
FAILURES = (IndexError, RuntimeError, ValueError, TypeError, KeyError, AssertionError, AttributeError)


def padding_of(model: Any) -> Padding | None:
    """Return what was found about a model earlier, None where nothing was."""
    padding: Padding | None = model.config.to_dict().get(PADDING)
    return padding


def settle_padding_id(model: Any, tokenizer: Any) -> None:
    """Have model and tokenizer agree on the padding token: the model's, where the tokenizer knows that.

    A decoder takes the last token that is not padding for the end of a text.
    """
    for config in (model.config, model.config.get_text_config()):
        number = config.to_dict().get("pad_token_id")
        token = tokenizer.convert_ids_to_tokens(number) if isinstance(number, int) and number >= 0 else None
        if token is None:
            config.pad_token_id = tokenizer.pad_token_id
        elif number != tokenizer.pad_token_id:
            tokenizer.pad_token = token


class ReadingCheck:
    """A model, its tokenizer, and what is compared.

    Args:
        model: In evaluation mode.
        tokenizer: Its tokenizer; the names of its inputs are corrected where the model has no place for one.
        read: See ``Read``.
        name: Of the model, for messages.
        pairs: Whether the texts are two with one question or premise before the other.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, read: Read, name: str, pairs: bool = False) -> None:
        self._model, self._tokenizer, self._read, self._name, self._pairs = model, tokenizer, read, name, pairs
        self._words = _words(tokenizer)
        self._runs = 0

    def longest(self, wanted: int) -> int:
        """Return how many tokens the model reads, ``wanted`` at most.

        Raises:
            UserError: It reads no text at all.
        """
        length = most(self._fits, wanted)  # long texts first: some models read them in another way after a short one
        if length < min(wanted, SHORT):
            self._without_kinds(min(wanted, SHORT))
            length = most(self._fits, wanted)
        return length

    def _fits(self, tokens: int) -> bool:
        try:
            self._run([self._text(tokens)], "right")
        except FAILURES:
            return False
        return True

    def _without_kinds(self, tokens: int) -> None:
        """Leave out token types, of which a model may have fewer than its tokenizer gives, or none."""
        names = self._tokenizer.model_input_names
        self._tokenizer.model_input_names = [name for name in names if name != "token_type_ids"]
        try:
            self._run([self._text(tokens)], "right")
        except FAILURES as error:
            raise unreadable(self._name, error) from None

    def padding(self, tokens: int, sides: Sequence[Padding]) -> Padding:
        """Return how texts of different lengths are put together so that each is read as it is alone.

        Args:
            tokens: Of the long text.
            sides: What is possible, in the order of preference; "equal": that they are not.

        Raises:
            UserError: None of these, or the model answers a text differently the second time.
        """
        long, short = self._text(tokens), self._text(max(2, min(SHORT, tokens // 2)))
        try:
            alone = [self._run([text], "right")[0] for text in (long, short)]
        except FAILURES as error:
            raise unreadable(self._name, error) from None
        finite = all(bool(row.isfinite().all()) for row in alone)
        if finite and not self._same(self._run([long], "right"), alone[:1]):
            raise ModelError(
                f"{self._name} answers a text differently after it has read another one, so that nothing could be "
                "compared: use another --model."
            )
        if not finite or len(long["input_ids"]) == len(short["input_ids"]):
            return sides[0]  # what is no number is said where it is scored
        for side in sides:
            if side == "equal":
                if self._same(self._run([long, long], "right"), [alone[0], alone[0]]):
                    return side
            elif self._same(self._run([long, short], side), alone):
                return side
        raise ModelError(
            f"What {self._name} says of a text depends on the padding beside it, which this task cannot do without: "
            "use another --model."
        )

    def _text(self, tokens: int) -> dict[str, list[int]]:
        """Return a text of so many tokens, or of as many as the tokenizer's own limits allow."""
        words = rng_for(0, 0, "reading").choice(self._words, tokens)
        for repeated in (1, 4, 16):
            text = " ".join(list(words) * repeated)
            parts = (" ".join(words[:2]), text) if self._pairs else (text, None)
            cut = "only_second" if self._pairs else True
            encoded = self._tokenizer(*parts, truncation=cut, max_length=tokens, verbose=False)
            if len(encoded["input_ids"]) >= tokens:
                break
        names = [*self._tokenizer.model_input_names, "input_ids"]
        return {name: list(encoded[name]) for name in dict.fromkeys(names) if name in encoded}

    def _run(self, texts: Sequence[Mapping[str, list[int]]], side: str) -> list[Tensor]:
        self._runs += 1  # another seed each time: what draws numbers while it is evaluated is found out
        device = next(self._model.parameters()).device
        fill = self._tokenizer.pad_token_id
        inputs = {
            name: pad([text[name] for text in texts], fill if name == "input_ids" else 0, side)
            for name in texts[0]
            if name != "attention_mask"
        }
        inputs["attention_mask"] = pad([[1] * len(text["input_ids"]) for text in texts], 0, side)
        with torch.no_grad(), torch_seeded(self._runs):
            return [row.float().cpu() for row in self._read({name: part.to(device) for name, part in inputs.items()})]

    def _same(self, rows: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
        """Tell whether rows are the same but for rounding."""
        eps = torch.finfo(next(self._model.parameters()).dtype).eps
        share = TOLERANCE if eps < 1e-6 else COARSE * eps
        scale = max(float(row.abs().max()) for row in wanted)
        return all(
            row.shape == other.shape and bool(((row - other).abs() <= share * scale).all())
            for row, other in zip(rows, wanted, strict=True)
        )


@dataclass(frozen=True)
class Wanted:
    """What a task would have of a model.

    Attributes:
        longest: Tokens of the longest text.
        sides: How texts of different lengths can be put into one batch, in the order of preference; "equal": that they
            are not.
        name: Of the model, for messages.
        pairs: Whether the texts are pairs.
        all_lengths: Whether the model must read the longest text, whether there is one or not.
    """

    longest: int
    sides: tuple[Padding, ...]
    name: str
    pairs: bool = False
    all_lengths: bool = False


def settle(model: Any, tokenizer: Any, read: Read, wanted: Wanted, known: Feeding | None) -> Feeding:
    """Find out how a model is to be fed, and have model and tokenizer say so.

    Args:
        model: Loaded.
        tokenizer: Its tokenizer.
        read: What is compared.
        wanted: What is tried.
        known: What was found of the model that was loaded last, which holds for another copy of it; a model that says
            itself how it is padded is believed. None: this one is tried whatever it says.

    Raises:
        UserError: The model cannot be fed as it would have to be.
    """
    settle_padding_id(model, tokenizer)
    kind = type(model).__name__
    if known is not None and (known.name, known.kind, known.longest) == (wanted.name, kind, wanted.longest):
        feeding = known
    else:
        check_embeddings(model, tokenizer, wanted.name)
        training = model.training
        model.eval()
        try:
            probe = ReadingCheck(model, tokenizer, read, wanted.name, wanted.pairs)
            feeding = Feeding(probe.longest(wanted.longest), name=wanted.name, kind=kind)
            if wanted.all_lengths:
                feeding.check(wanted.longest)
            known_padding = None if known is None else padding_of(model)
            padding = probe.padding(feeding.longest or 1, wanted.sides) if known_padding is None else known_padding
        finally:
            model.train(training)
        feeding = replace(feeding, padding=padding, limit=positions(model.config), whole=wanted.all_lengths)
    model.config.update({PADDING: feeding.padding})
    tokenizer.padding_side = "left" if feeding.padding == "left" else "right"
    return feeding


def positions(config: Any) -> int | None:
    """Return the tokens that there are positions for by a model's configuration, None where it does not say.

    Some models count their positions from 2 on: of theirs, the largest multiple of ``STEP`` is within.
    """
    count = config.get_text_config().to_dict().get("max_position_embeddings")
    return count // STEP * STEP or count if isinstance(count, int) and count > 0 else None


def unreadable(name: str, error: Exception) -> ModelError:
    """The refusal of a model that fails on plain texts, with the first line of why."""
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return ModelError(
        f"{name} cannot read plain texts as its tokenizer gives them ({type(error).__name__}: {first}): use another "
        "--model."
    )


def most(fits: Callable[[int], bool], wanted: int) -> int:
    """Return the largest number up to ``wanted`` that fits, where 1 does and nothing above one that does not."""
    if fits(wanted):
        return wanted
    low, high = 1, wanted
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _words(tokenizer: Any) -> list[str]:
    """Return some of a tokenizer's own words, as text."""
    special = set(tokenizer.all_special_ids)
    numbers = [number for number in sorted(tokenizer.get_vocab().values()) if number not in special]
    some = rng_for(0, 0, "words").permutation(numbers)[:256].tolist() if numbers else []
    words = [word for word in (tokenizer.decode([number]).strip() for number in some) if word]
    return words or ["a"]
