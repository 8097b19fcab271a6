"""A run's model and labeled data on the Hugging Face Hub, in the words and accounts of ``huggingface_hub``."""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.annotation.exporting import export, plain_name
from dal_nlp.core.errors import RunFolderError, UserError
from dal_nlp.core.text import counted
from dal_nlp.joins.tool_rows import AT, BY, NOTE
from dal_nlp.ledger.answer_events import MACHINE, MAJORITY
from dal_nlp.ledger.ledger import read_state
from dal_nlp.report.model_card import CARD, PLACE, answered_by, model_card

if TYPE_CHECKING:
    from datasets import Dataset
    from huggingface_hub import HfApi

#: What the next start of a run goes on from, and nobody else needs.
OWN_FILES = ("fit.json", "head.safetensors", "lora.safetensors", CARD)
#: The column with the reason why an example was asked about.
WHY = "chosen"
#: What the name of the data set ends in, beside the model's.
ENDING = "-labels"


def push(
    folder: Path,
    name: str,
    api: "HfApi",
    salt: str,
    private: bool = True,
    license: str = "unknown",
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Put the model of a finished run, and the examples that were labeled for it, on the Hub.

    Args:
        folder: The run folder.
        name: ORG/NAME of the model; the data set is ORG/NAME-labels.
        api: Whose account it is.
        salt: Goes into the hash in the place of each annotator's name.
        private: Whether only the owner sees both.
        license: Of both, as the Hub calls it.
        say: Takes sentences on what was put where.

    Raises:
        UserError: Nothing is there to be put, or the Hub does not take it, with what was put before.
    """
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name):
        raise UserError(f"{name!r} is no name on the Hub: give ORG/NAME, of letters, digits, -, _ and dots.")
    state, model = read_state(folder), folder / "model"
    if state.stopped is None or not (model / "config.json").is_file():
        raise RunFolderError(f"{folder} has no finished model: let `dal-nlp run` come to its end first.")
    if api.token is None and not _signed_in():
        raise UserError("The Hub wants a token: run `hf auth login`, or set HF_TOKEN.")
    with TemporaryDirectory() as scratch:
        card = model_card(model, state, license).replace(PLACE, name)
        draft = Path(scratch, "model")
        shutil.copytree(model, draft, ignore=shutil.ignore_patterns(*OWN_FILES))
        (draft / CARD).write_text(card, encoding="utf-8")
        data = _dataset(AnswerStore(folder, state), Path(scratch), salt, say)
        table = Path(scratch, "data")
        table.mkdir()
        data.to_parquet(table / "labels.parquet")
        (table / CARD).write_text(_data_card(name, data, answered_by(state), license), encoding="utf-8")
        with _plainly(api.endpoint):
            say(f"Model: {_upload(api, name, 'model', draft, private)}")
            say(f"Data: {_upload(api, name + ENDING, 'dataset', table, private)}, {counted(len(data), 'example')}")


def _upload(api: "HfApi", name: str, kind: str, content: Path, private: bool) -> str:
    """Create a repository, or take the one that is there, and put files into it; return its address."""
    url = api.create_repo(name, repo_type=kind, private=private, exist_ok=True)
    if private and not api.repo_info(name, repo_type=kind).private:
        raise UserError(f"{url} is there and everybody can read it: give another name, or say --public.")
    api.upload_folder(folder_path=content, repo_id=name, repo_type=kind, commit_message="From dal-nlp push")
    return str(url)


def _signed_in() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None


@contextmanager
def _plainly(endpoint: str) -> Iterator[None]:
    """Turn what the Hub or the network says into one sentence."""
    # NetworkError is that of whichever HTTP library this version of huggingface_hub is built on.
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    from huggingface_hub.errors import HTTPError as NetworkError  # type: ignore[attr-defined]

    try:
        yield
    except OfflineModeIsEnabled:
        raise UserError("HF_HUB_OFFLINE is set, so nothing is sent: unset it.") from None
    except HFValidationError as error:
        raise UserError(f"The Hub does not take that name: {error}") from None
    except HfHubHTTPError as error:
        code = error.response.status_code
        hint = {
            401: "the token is none of its: run `hf auth login`",
            403: "the token may not write there: make one that may, or choose another ORG",
            409: "somebody has that name: choose another one",
        }.get(code, "try again later")
        raise UserError(f"The Hub ({endpoint}) refused with status {code}: {hint}.") from None
    except (NetworkError, ConnectionError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"The Hub ({endpoint}) cannot be reached ({reason}): check the network, then again.") from None


def _dataset(store: AnswerStore, scratch: Path, salt: str, say: Callable[[str], None]) -> "Dataset":
    """Return the labeled examples with all columns of the pool, who answered, when, and why each was chosen."""
    from datasets import Dataset, load_from_disk

    folder = scratch / "export"
    export(store, "hf-dataset", "labels", folder, say)
    data = load_from_disk(folder)
    assert isinstance(data, Dataset)
    ids = [id for id in store.state.given if id in store.state.answers]
    events = [store.state.decision(id) for id in ids]
    notes = sum(bool(event and event.note) for event in events)
    if notes:
        say(f"Left out, as they may name people: the notes of {counted(notes, 'answer')}.")
    who = ["" if event is None else event.by if event.via == MACHINE else hashed(event.by, salt) for event in events]
    # Those that the pool has of an earlier export go, too.
    private = [name for name in data.column_names if plain_name(name) in (BY, NOTE)]
    dataset = data.remove_columns(private).add_column(BY, who).add_column(WHY, [store.why(id) for id in ids])
    say(f"Columns of the data: {', '.join(dataset.column_names)}.")
    return dataset


def hashed(name: str, salt: str) -> str:
    """Return what stands for an annotator: the same for the same name and salt; not for what names nobody."""
    if name in ("", MAJORITY):
        return name
    digest = hashlib.blake2b(name.encode(), key=salt.encode()[: hashlib.blake2b.MAX_KEY_SIZE], digest_size=6)
    return f"annotator-{digest.hexdigest()}"


def _data_card(name: str, data: "Dataset", answered: list[str], license: str) -> str:
    from huggingface_hub import DatasetCardData

    front = DatasetCardData(license=license, tags=["active-learning", "dal-nlp"]).to_yaml()
    lines = [
        *("---", front, "---", "", f"# Labels of {name}", ""),
        "Chosen by active learning, so it is no random sample of its pool, but for what was drawn to measure on.",
        *("", f"- `{BY}`: a hash in the place of each annotator's name; machines by their names", f"- `{AT}`: when"),
        *(f"- `{WHY}`: in which round, and by which strategy", "", "Who answered:", ""),
        *(f"- {line}" for line in answered),
    ]
    return "\n".join([*lines, ""])
