"""``dal-nlp``: the commands.

Nothing heavy is imported here or at the top of the commands' files, so ``--help`` answers at once.
"""

import io
import os
import sys
from typing import Annotated

import typer

from dal_nlp.core.distributed import end_with
from dal_nlp.core.progress import heed_ctrl_c
from dal_nlp_cli.active_test import test
from dal_nlp_cli.agreement import agreement
from dal_nlp_cli.annotate import annotate
from dal_nlp_cli.autolabel import autolabel
from dal_nlp_cli.check import check
from dal_nlp_cli.command import MISTAKE, Command
from dal_nlp_cli.compare import compare
from dal_nlp_cli.export import export, ingest
from dal_nlp_cli.flag_help import SettingsCommand
from dal_nlp_cli.init import init
from dal_nlp_cli.label import label
from dal_nlp_cli.log import log
from dal_nlp_cli.predict import predict
from dal_nlp_cli.push import push
from dal_nlp_cli.relabel import relabel
from dal_nlp_cli.repair import repair
from dal_nlp_cli.report import report
from dal_nlp_cli.run import run
from dal_nlp_cli.signals import signals
from dal_nlp_cli.status import status
from dal_nlp_cli.strategies import strategies
from dal_nlp_cli.suspects import suspects
from dal_nlp_cli.terminal import LAUNCHED, complain

app = typer.Typer(
    name="dal-nlp",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_WITH_SETTINGS = (run, compare, check)
_WITH_MODELS = (init, status, report, repair, predict, autolabel, test, strategies)
_WITH_PEOPLE = (label, annotate, relabel, log, agreement, suspects, export, ingest, push)
for command in _WITH_SETTINGS:
    app.command(cls=SettingsCommand)(command)
for command in (*_WITH_MODELS, *_WITH_PEOPLE):
    app.command(cls=Command)(command)
app.add_typer(signals)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"dal-nlp {version('dal-nlp')}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", metavar="", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Reach the quality you need with the fewest labels: active learning for text models.

    Start with `dal-nlp run --task sentiment`: a demonstration on real data that needs no file.
    """


def main() -> None:
    """Run the command line."""
    heed_ctrl_c()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not every terminal has all letters
            stream.reconfigure(errors="backslashreplace")
    launcher = os.environ.get(LAUNCHED, "")
    if launcher and "RANK" in os.environ:
        end_with(int(launcher))
    try:
        os.getcwd()
    except FileNotFoundError:
        complain("Error: the folder that you are in was deleted: change to another one.")
        sys.exit(MISTAKE)
    app(prog_name="dal-nlp")
