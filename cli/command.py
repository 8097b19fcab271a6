"""How a command ends: exceptions become sentences and exit codes."""

import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

import dal_nlp
from dal_nlp.core.errors import LARGEST_NUMBER, Stalled, UserError, explain
from dal_nlp.core.plugins import trust_all, trust_only
from dal_nlp_cli.completion import run_folders
from dal_nlp_cli.terminal import fail

CRASH, MISTAKE, PENDING, INTERRUPTED = 1, 2, 3, 130

#: A flag of every command; ``Command`` reads it.
Debug = Annotated[bool, typer.Option("--debug", metavar="", help="Show the traceback of an error.")]
#: A flag of the commands that may build what a run folder or a configuration file names; ``Command`` reads it.
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", metavar="", help="Run code of this folder (module:Class) that a run or --config names. Default: off."
    ),
]
#: What several commands take.
Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="A run folder.", show_default=False, autocompletion=run_folders)
]
Quiet = Annotated[bool, typer.Option("--quiet", metavar="", help="No progress. Default: off.")]
#: Texts that a run's model answers, and where they are.
SourceArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="Texts: a file, Arrow folder or Hub name.", show_default=False)
]
TextColumn = Annotated[
    str | None, typer.Option(metavar="A[,B]", help="Column of the texts, or two. Default: that of the run.")
]
IdColumn = Annotated[str | None, typer.Option(metavar="NAME", help="Column of ids, or none. Default: that of the run.")]
Encoding = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of a text file that is not UTF-8. Default: found by its bytes.")
]
Quoting = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="none: double quotes in tables are letters. trusted: they are right as they stand. "
        "Default: that of the run.",
    ),
]
KeepWitness = Annotated[
    bool | None,
    typer.Option(
        "--keep-witness/--without-witness",
        metavar="",
        help="Ask the run's signals about each text too. Default: as in the run.",
        show_default=False,
    ),
]


class Command(TyperCommand):
    """A command whose errors are one sentence each; ``--debug`` adds the traceback.

    Exit codes: 0 done, 1 crash, 2 the user's mistake, 3 answers pending (raised by the command), 130 interrupted.
    """

    def invoke(self, ctx: Any) -> Any:  # a click context, which Typer brings along under another name in each version
        """Run the command."""
        if not ctx.params.get("trust"):
            trust_only(_words(ctx.params.values()))
        try:
            for name, value in ctx.params.items():
                if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
                    raise UserError(f"--{name.replace('_', '-')} is larger than any number of things: lower it.")
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            sentence = f"Interrupted: `{ctx.command_path}` can be started again with the same words."
            raise _end(False, sentence, INTERRUPTED) from None
        except UserError as error:
            raise _end(ctx.params["debug"], f"Error: {error}", MISTAKE) from None
        except Stalled as error:
            raise _end(ctx.params["debug"], f"Error: {error}", CRASH) from None
        except MemoryError:
            sentence = "Error: the memory of this machine did not suffice: lower scoring.batch_size, or take less data."
            raise _end(ctx.params["debug"], sentence, MISTAKE) from None
        except Exception as error:
            if mistake := explain(error):
                raise _end(ctx.params["debug"], f"Error: {mistake}", MISTAKE) from None
            reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
            who = own_code(error) or "dal-nlp crashed"
            sentence = f"Error: {who} ({reason}); what is on the disk is safe, and --debug shows more."
            # Communication raises this where another process has died.
            raise _end(ctx.params["debug"], sentence, CRASH, isinstance(error, RuntimeError)) from None
        finally:
            trust_all()


def own_code(error: Exception) -> str:
    """Say where in a file of the user's own an exception came up, "" where it did not pass through one."""
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    libraries |= {str(Path(module.__file__ or "").parent) for module in (dal_nlp, sys.modules[__package__])}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.is_file() and not any(file.is_relative_to(library) for library in libraries):
            return f"{file}, line {frame.lineno}, crashed"
    return ""


def _words(values: Iterable[Any]) -> Iterator[str]:
    """Yield the texts among the values of flags."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _words(value)
        elif isinstance(value, str):
            yield value


def _end(debug: bool, sentence: str, code: int, consequence: bool = False) -> typer.Exit:
    """Print the traceback, where it is asked for, and the sentence; return the end itself."""
    if debug:
        traceback.print_exc()
    fail(sentence, code, consequence)
    return typer.Exit(code)
