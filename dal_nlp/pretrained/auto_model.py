"""The encoder of ``--model auto``: the better one where it can be had and has time enough, else the small one."""

import time
from collections.abc import Sequence

import torch

from dal_nlp.core.distributed import process_state
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Progress
from dal_nlp.pretrained.loading import load_model, load_tokenizer, resolve

#: The encoder that needs fewer labels, and the one that is four times as fast. On film reviews the first, with
#: descriptions and no label, is right more often than the second after 3,000 labels.
BETTER, FASTER = "mpnet", "minilm"
#: Seconds that encoding a pool may take, rows whose texts are timed, and texts in a batch.
PATIENCE, TIMED, BATCH = 900, 32, 16


def choose_encoder(texts: Sequence[str], count: int, progress: Progress) -> tuple[str, str]:
    """Return the alias of the encoder for a pool, and a sentence that says why.

    Args:
        texts: Some of the pool, evenly drawn; they are encoded to see how long that takes.
        count: How many texts are to be encoded.
        progress: Where the download is shown.
    """
    try:
        source = resolve(BETTER, progress)
    except UserError as error:
        return FASTER, f"--model auto: the encoder is {FASTER}, as {BETTER} cannot be had ({str(error).rstrip('.')})."
    seconds = seconds_to_encode(source, texts) * count / max(1, len(texts))
    if seconds > PATIENCE:
        return FASTER, (
            f"--model auto: the encoder is {FASTER}, as {BETTER} would take about {seconds / 60:,.0f} min to encode "
            f"{count:,} texts here; it needs fewer labels: --model {BETTER}."
        )
    return BETTER, (
        f"--model auto: the encoder is {BETTER}, which encodes {count:,} texts here in less than {PATIENCE // 60} min; "
        f"--model {FASTER} is faster and needs more labels."
    )


def seconds_to_encode(source: str, texts: Sequence[str]) -> float:
    """Return the seconds that an encoder takes for texts that are read whole, after a first batch that does not count.

    Args:
        source: Folder or Hub id of the encoder.
        texts: Each is timed up to the longest input; what is beyond counts by its tokens.
    """
    tokenizer, encoder = load_tokenizer(source), load_model("AutoModel", source)
    encoder.to(process_state().device).eval()
    tokens = sum(len(ids) for ids in tokenizer(list(texts), verbose=False)["input_ids"])
    batches = [
        tokenizer(list(texts[i : i + BATCH]), truncation=True, max_length=256, padding=True, return_tensors="pt")
        for i in range(0, len(texts), BATCH)
    ]
    read = sum(int(batch["attention_mask"].sum()) for batch in batches)
    with torch.inference_mode():
        _encode(encoder, batches[0])
        started = time.perf_counter()
        for batch in batches:
            _encode(encoder, batch)
    return (time.perf_counter() - started) * tokens / max(1, read)


def _encode(encoder: torch.nn.Module, batch: dict[str, torch.Tensor]) -> None:
    device = process_state().device
    encoder(**{name: value.to(device) for name, value in batch.items()}).last_hidden_state.cpu()
