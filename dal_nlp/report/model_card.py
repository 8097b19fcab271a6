"""The model card: README.md beside a trained model, with what those need to know who are given the folder."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dal_nlp.core.files import replace_file
from dal_nlp.core.text import counted, join_names, without_folders
from dal_nlp.ledger.answer_events import MACHINE, MAJORITY, AnswerEvent
from dal_nlp.ledger.state import State
from dal_nlp.report.machines import texts_taught
from dal_nlp.report.summary import cell, spoken

CARD = "README.md"
#: What stands in a card for the folder's place, which only its reader knows.
PLACE = "path/to/this/folder"
#: The Hub's names of the encoders that come through pip.
HUB_NAMES = {
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
    "mpnet": "sentence-transformers/all-mpnet-base-v2",
}
#: What the Hub calls the task of a class, by the end of the class's name.
TAGS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForConditionalGeneration": "summarization",
}
#: What the command line says in numbers.
NUMBERS = ("audit", "initial", "query_size", "rounds", "budget", "seed")
#: The oracle that is asked where none is named.
LABELED_FILE = "labeled-file"
_LIBRARIES = ("dal-nlp", "transformers", "torch", "datasets", "scikit-learn")


def write_card(folder: Path, state: State, license: str = "unknown") -> None:
    """Write the card into the folder of a run's model.

    Args:
        folder: Of the model.
        state: Of the run that trained it.
        license: Its licence, as the Hub calls it.
    """
    replace_file(folder / CARD, model_card(folder, state, license).encode())


def model_card(folder: Path, state: State, license: str = "unknown") -> str:
    """Return the card of a run's model; arguments as in ``write_card``."""
    config = state.config or {}
    kind = _kind(folder)
    sections = {
        "How to load it": _loading(kind, config),
        "Labels": "\n".join(f"- {_code(label)}" for label in state.labels) or "It has no fixed set of labels.",
        "Data": _data(state, config),
        "Who answered": "\n".join(f"- {line}" for line in answered_by(state)) or "Nobody was asked.",
        "Score": _score(state),
        "How it was made": _making(state, config),
        "Licence": (
            f"`{license}`. The licences of the base model and of the data bind this model too."
            if license != "unknown"
            else "Not stated. The licences of the base model and of the data bind this model too; put the name of its "
            "own into the field `license` at the top before it is shared."
        ),
    }
    title = f"# {config.get('task', '')}: {_base(config, folder)} trained with active learning\n"
    body = "\n".join(f"## {name}\n\n{text}\n" for name, text in sections.items())
    return f"---\n{_front_matter(kind, hub_name(config, folder), license)}\n---\n\n{title}\n{body}"


def answered_by(state: State) -> list[str]:
    """Return how many examples each kind of answerer has decided on, in words; people are counted, not named."""
    decisions = [event for id in state.given if (event := state.decision(id)) is not None]
    people = {event.by for event in decisions if event.of_person}
    counts = Counter(_answerer(event, len(people)) for event in decisions)
    lines = [f"{counted(count, 'example')}: {name}" for name, count in counts.most_common()]
    pseudo = sum(len(event.ids) for event in state.pseudo.values())
    if pseudo:
        lines.append(f"{counted(pseudo, 'pseudo-label')} of the model itself, over all rounds")
    if state.metrics and (state.metrics[-1].learner or {}).get("distilled"):
        lines.append("the model's own answers about the pool, beside the labels (self-distillation)")
    machines = dict.fromkeys(name for name, dataset in state.signals if dataset == "pool")
    role = "drafts for people, from which no model learns" if state.drafts else "machine-made answers beside the labels"
    return lines + [f"{role}: {name}" for name in machines]


def _answerer(event: AnswerEvent, people: int) -> str:
    """Return who decided, in words."""
    if event.via == MACHINE:
        return f"a machine ({event.by}), not people"
    if event.of_person:
        return counted(people, "person").replace("persons", "people")
    if event.by == MAJORITY:
        return "what several people's answers came to"
    return "the label column of the data or a function, in place of people"


def _kind(folder: Path) -> tuple[str, bool]:
    """Return a model's class without its family, "" where only a layer is there; and if its code lies beside it."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "", False
    own = [name.removeprefix("AutoModel") for name in config.get("auto_map", {}) if name.startswith("AutoModel")]
    names = own or [name for name in TAGS if config["architectures"][0].endswith(name)]
    return next(iter(names), config["architectures"][0]), bool(own)


def _front_matter(kind: tuple[str, bool], base: str, license: str) -> str:
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        license=license,
        library_name="transformers",
        pipeline_tag=TAGS.get(kind[0]),
        tags=["active-learning", "dal-nlp"],
        base_model=base or None,
    )
    return data.to_yaml()


def hub_name(config: Mapping[str, Any], folder: Path) -> str:
    """Return the Hub's name of a run's base model, "" where it is a folder.

    ``base/encoder`` may be either, and the folder is there for whoever stands where the run began: the card that the
    run itself has left in ``folder`` has it right.
    """
    model, card = str(config.get("model", "")), folder / CARD
    if model in HUB_NAMES:
        return HUB_NAMES[model]
    if not re.fullmatch(r"[\w-]+/[\w.-]+", model) or Path(model).exists():
        return ""
    return model if not card.is_file() or f"base_model: {model}\n" in card.read_text(encoding="utf-8") else ""


def _base(config: Mapping[str, Any], folder: Path) -> str:
    return hub_name(config, folder) or without_folders(str(config.get("model", "")))


def _loading(kind: tuple[str, bool], config: Mapping[str, Any]) -> str:
    name, own = kind
    trust = ", trust_remote_code=True" if own else ""
    if not name:
        return "This folder holds an output layer alone, without its encoder: `dal-nlp predict RUN FILE` uses it."
    if TAGS.get(name) in ("text-classification", "token-classification"):
        text = (
            '{"text": "a text", "text_pair": "its partner"}' if len(config.get("text_column") or []) > 1 else '"a text"'
        )
        code = [
            "from transformers import pipeline",
            "",
            f'model = pipeline("{TAGS[name]}", model="{PLACE}"{trust})',
            f"print(model({text}{_cut(name, config)}))",
        ]
    else:
        auto = "AutoModelForSeq2SeqLM" if name == "ForConditionalGeneration" else f"AutoModel{name}"
        code = [
            f"from transformers import {auto}, AutoTokenizer",
            "",
            f'model = {auto}.from_pretrained("{PLACE}"{trust})',
            f'tokenizer = AutoTokenizer.from_pretrained("{PLACE}")',
        ]
    block = "\n".join(["```python", *code, "```"])
    remarks = [block]
    if own:
        remarks.append(
            "It is an encoder whose states become one vector of a text, and one linear layer. No class of "
            "transformers has this form, so the folder holds the few lines of code that do, `head_model.py`, "
            "`head_config.py` and `pooling.py`; `trust_remote_code=True` says that they may run. dal-nlp need not "
            "be installed."
        )
    elif name == "ForSequenceClassification" and config.get("max_length") == "auto":
        remarks.append("`dal-nlp predict` reads a long text in several windows; the lines above do not.")
    if config.get("keep_witness"):
        remarks.append("`dal-nlp predict` asks the machines of the run about each text too; the lines above do not.")
    return "\n\n".join(remarks)


def _cut(name: str, config: Mapping[str, Any]) -> str:
    """Return the arguments with which a pipeline cuts texts as the run did; it has none for tokens."""
    most = config.get("max_length")
    if name != "ForSequenceClassification" or not isinstance(most, int):
        return ""
    return f", truncation=True, max_length={most}"


def _data(state: State, config: Mapping[str, Any]) -> str:
    last = state.metrics[-1] if state.metrics else None
    pool = counted(state.pool.rows, "row") if state.pool else "an unknown number of rows"
    lines = [f"- Pool: {_code(without_folders(str(config.get('data') or 'the demonstration')))}, {pool}"]
    if last is not None:
        lines += [f"- Labels that trained: {last.labels:,}", f"- Examples that measured: {last.size:,} ({last.on})"]
    if state.finished and state.finished.kept and state.finished.soft_labels:
        lines.append(f"- Texts that trained by what a layer and machines say of them: {state.finished.soft_labels:,}")
    if texts_taught(state):
        lines.append(f"- Texts that trained by what machines say of them: {texts_taught(state):,}")
    lines.append(f"- Answers asked for, those that measure included: {len(state.answers):,}")
    return "\n".join(lines)


def _score(state: State) -> str:
    event = state.finished if state.finished and state.finished.kept else state.metrics[-1] if state.metrics else None
    if event is None:
        return "It was not measured."
    rows = ["| measure | value | 95 % interval |", "|---|---|---|"]
    for name in event.values:
        pair = event.intervals.get(name)
        rows.append(
            f"| {spoken(name)} | {cell(event.values[name])} | {f'{pair[0]:.3f} to {pair[1]:.3f}' if pair else ''} |"
        )
    return "\n".join([*rows, "", f"On {counted(event.size, 'example')} ({event.on}), on which no model trains."])


def _making(state: State, config: Mapping[str, Any]) -> str:
    strategies = list(dict.fromkeys(query.strategy for query in state.queries if query.round > 0))
    files = {name: config.get(name) for name in ("data", "test", "validation", "model")}
    kind, colon, of = str(config.get("oracle") or LABELED_FILE).partition(":")
    flags = {
        "task": config.get("task"),
        **{name: without_folders(str(file)) for name, file in files.items() if file is not None},
        "oracle": kind + colon + without_folders(of) if kind != LABELED_FILE else None,
        **{f"{name}-column": column for name in ("text", "label", "id") if (column := _column(config, name)) != name},
        "labels": join_names(config["labels"]) if config.get("labels") else None,
        "train": (config.get("training") or {}).get("mode"),
        "finish": config.get("finish") if config.get("finish") != "none" else None,
        "initial-strategy": config.get("initial_strategy"),
        "strategy": ",".join(strategies) or config.get("strategy"),
        **{name.replace("_", "-"): config.get(name) for name in NUMBERS},
    }
    arguments = " ".join(f"--{name} {shlex.quote(str(value))}" for name, value in flags.items() if value is not None)
    versions = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return f"```\ndal-nlp run {arguments}\ndal-nlp predict RUN FILE\n```\n\nVersions: {versions}."


def _column(config: Mapping[str, Any], name: str) -> str:
    """Return what --text-column and its like were given."""
    column = config.get(f"{name}_column") or name
    return column if isinstance(column, str) else join_names(column)


def _code(text: str) -> str:
    """Return a text as code on one line, whatever signs of Markdown it holds."""
    line = " ".join(text.split())
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    space = " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}"
