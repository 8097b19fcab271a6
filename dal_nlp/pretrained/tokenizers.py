"""Tokenizers: loaded, and refused where their files are missing or they do not know the texts."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dal_nlp.core.errors import ModelError

#: Shares of a text's tokens that the tokenizer does not know, above which it is said, and above which it is refused.
SAID, REFUSED = 0.3, 0.9


def check_files(folder: Path, tokenizer: Any) -> None:
    """Raise ``UserError`` where a folder has none of the files of its tokenizer, of which an empty one is made then."""
    names = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
    if tokenizer.vocab_files_names and not any((folder / name).is_file() for name in names):
        raise ModelError(
            f"{folder} has no tokenizer ({', '.join(sorted(names))}): save it beside the model with "
            "tokenizer.save_pretrained."
        )


def needs_sentencepiece(folder: Path) -> bool:
    """Tell whether a folder's tokenizer can be read by packages only that are not installed."""
    lacking = any(importlib.util.find_spec(name) is None for name in ("sentencepiece", "google.protobuf"))
    return lacking and any(folder.glob("*.model")) and not (folder / "tokenizer.json").is_file()


def settle_padding_token(tokenizer: Any, source: str) -> None:
    """Give a tokenizer without a padding token its end token as one; raises ``UserError`` where it has none either."""
    if tokenizer.pad_token_id is not None:
        return
    if tokenizer.eos_token is None:
        raise ModelError(f"The tokenizer of {source} has no padding token: set one and save it beside the model.")
    tokenizer.pad_token = tokenizer.eos_token


def check_vocabulary(tokenizer: Any, texts: Sequence[str], source: str) -> list[str]:
    """Return what should be known of how a tokenizer reads texts, in sentences.

    Args:
        tokenizer: Of the model.
        texts: Some of those that it is for.
        source: Of the tokenizer, for the message.

    Raises:
        UserError: It makes nothing of them but special and unknown tokens.
    """
    added, unknown = set(tokenizer.all_special_ids), tokenizer.unk_token_id
    tokens = lost = signs = dropped = marked = 0
    fast = tokenizer.is_fast
    for text in texts:
        encoded = tokenizer(
            text, add_special_tokens=False, truncation=True, max_length=512, verbose=False, return_offsets_mapping=fast
        )
        ids = encoded["input_ids"]
        marked += any(number in added and number != unknown for number in ids)
        tokens += max(1, len(ids))
        lost += sum(number in added or number == unknown for number in ids) if ids else 1
        if not fast:  # nothing says where in the text its tokens stand
            continue
        spans = encoded["offset_mapping"]
        # A tokenizer without an unknown token leaves out what it does not know.
        read = text[: spans[-1][1]] if len(ids) >= 512 else text
        covered = {position for start, end in spans for position in range(start, end)}
        visible = [position for position, sign in enumerate(read) if not sign.isspace()]
        signs += len(visible)
        dropped += sum(position not in covered for position in visible)
    share = max(lost / max(1, tokens), dropped / max(1, signs))
    if share > REFUSED:
        raise ModelError(
            f"The tokenizer of {source} knows next to nothing of the texts ({100 * share:.0f} % of them is "
            "unknown to it): give a folder with the model's own tokenizer, or a --model for their words."
        )
    remarks = []
    if marked:
        remarks.append(
            f"{marked:,} of {len(texts):,} texts that were looked at hold special tokens of the model "
            f"({', '.join(tokenizer.all_special_tokens[:3])} ...), which its tokenizer reads as such: take them out of "
            "the texts."
        )
    if share > SAID:
        remarks.append(
            f"The tokenizer does not know {100 * share:.0f} % of the words and signs in the texts: a --model for their "
            "language would see more."
        )
    return remarks


def check_embeddings(model: Any, tokenizer: Any, source: str) -> None:
    """Raise ``UserError`` where a tokenizer gives numbers that a model has no embedding for."""
    try:
        rows = model.get_input_embeddings().weight.shape[0]
    except NotImplementedError:  # it reads something else, such as characters
        return
    special = set(tokenizer.all_special_ids)
    used = {number for number in tokenizer("")["input_ids"]}
    beyond = [
        token
        for token, number in tokenizer.get_vocab().items()
        if number >= rows and (number not in special or number in used)
    ]
    if beyond:
        raise ModelError(
            f"The tokenizer of {source} has tokens that the model has no embedding for ({beyond[0]!r}, ...; the model "
            f"has {rows:,}): call model.resize_token_embeddings(len(tokenizer)) and save both."
        )
