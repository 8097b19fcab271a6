"""What the signals of a configuration would be asked, shown before anything is."""

from pathlib import Path
from tempfile import TemporaryDirectory

from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Progress
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.session.config import RunConfig
from dal_nlp.session.context import Context
from dal_nlp.signals.preview import Preview, previews


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
        free = config.model_copy(update={"signals": []})
        work = Context(free, Path(temporary), ledger, None, None, None, None, progress)
        return previews(config, work.task, work.corpus, progress)
