"""What the signals of a configuration would be asked, shown before anything is."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.core.task import Capability
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.pretrained.loading import resolve
from dal_nlp.session.config import RunConfig
from dal_nlp.session.context import Context
from dal_nlp.signals.preview import Preview, previews
from dal_nlp.span_witnesses.drafts import check_drafts, most_drafts
from dal_nlp.span_witnesses.listening import has_witnesses, kinds_of, make_learner
from dal_nlp.strategies import check_fit, make_strategy


def show_signals(config: RunConfig, progress: Progress) -> list[Preview]:
    """Return what each signal would be asked; it works in a temporary folder, and no endpoint is asked.

    Raises:
        UserError: What the run would raise, or there is no signal.
    """
    if not config.signals:
        raise UserError(
            "There is no signal to show: add --signal KIND:WHAT, such as --signal llm:google/flan-t5-small."
        )
    with TemporaryDirectory(prefix="dal-nlp-signals-") as temporary, Ledger(Path(temporary)) as ledger:
        work = Context(without_signals(config), Path(temporary), ledger, None, None, None, None, progress)
        check_signals(config, work)
        signal_config = config.model_copy(update={"llm": work.config.llm, "budget": work.config.budget})
        most = most_drafts(signal_config, work.task)
        return previews(signal_config, work.task, work.corpus, progress, work.given, kinds_of(work.task), most)


def check_signals(config: RunConfig, work: Context) -> None:
    """Raise ``UserError`` where a run refuses its signals, by what it is without them; see ``without_signals``."""
    if not config.signals:
        return
    signal_config, task = work.config.model_copy(update={"signals": config.signals}), work.task
    check_drafts(signal_config, task, work.oracle.from_file)
    heard = frozenset({Capability.WITNESSES} if has_witnesses(signal_config, task) else ())
    for name, options in comparing(config).values():
        check_fit(name, make_strategy(name, options), task.capabilities | heard)
    source = resolve(signal_config.model, Silent(), signal_config.revision)
    make_learner(signal_config, task, source, work.folder, Silent(), predicts_loss=False)


def comparing(config: RunConfig) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return the strategies that compare texts with machines, and their options, by what names them."""
    named = {
        "strategy": (config.strategy, config.strategy_options),
        "initial_strategy": (config.initial_strategy, {}),
        "query.prefilter": (config.query.prefilter, {}),
    }
    return {
        key: (name, options)
        for key, (name, options) in named.items()
        if name is not None and Capability.WITNESSES in make_strategy(name, options).requires
    }


def without_signals(config: RunConfig) -> RunConfig:
    """Return a configuration that asks no machine; in place of what compares texts with machines it draws at random."""
    changed: dict[str, Any] = {"signals": []}
    for key in comparing(config):
        if key == "query.prefilter":
            changed["query"] = config.query.model_copy(update={"prefilter": "random"})
        else:
            changed |= {key: "random", **({"strategy_options": {}} if key == "strategy" else {})}
    return config.model_copy(update=changed)
