"""What the signals of a configuration would be asked, shown before anything is."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Progress
from dal_nlp.core.task import Capability
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.session.config import RunConfig
from dal_nlp.session.context import Context
from dal_nlp.signals.preview import Preview, previews
from dal_nlp.span_witnesses.drafts import most_drafts
from dal_nlp.span_witnesses.listening import kinds_of
from dal_nlp.strategies import make_strategy


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
        asked = config.model_copy(update={"llm": work.config.llm, "budget": work.config.budget})
        of, most = work.given.get("labeled"), most_drafts(asked, work.task)
        return previews(asked, work.task, work.corpus, progress, of, kinds_of(work.task), most)


def without_signals(config: RunConfig) -> RunConfig:
    """Return a configuration that asks no machine; in place of what compares texts with machines it draws at random."""
    changed: dict[str, Any] = {"signals": []}
    for name, options in (("strategy", config.strategy_options), ("initial_strategy", {})):
        if Capability.WITNESSES in make_strategy(getattr(config, name), options).requires:
            changed |= {name: "random", **({"strategy_options": {}} if name == "strategy" else {})}
    filter = config.query.prefilter
    if filter is not None and Capability.WITNESSES in make_strategy(filter, {}).requires:
        changed["query"] = config.query.model_copy(update={"prefilter": "random"})
    return config.model_copy(update=changed)
