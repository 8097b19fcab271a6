"""How a command ends: exceptions become sentences and exit codes."""

import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from dal_nlp.errors import UserError
from dal_nlp_cli.terminal import complain, is_first

CRASH, MISTAKE, PENDING, INTERRUPTED = 1, 2, 3, 130

#: A flag of every command; ``Command`` reads it.
Debug = Annotated[bool, typer.Option("--debug", metavar="", help="Show the traceback of an error.")]


class Command(TyperCommand):
    """A command whose errors are one sentence each; ``--debug`` adds the traceback.

    Exit codes: 0 done, 1 crash, 2 the user's mistake, 3 answers pending (raised by the command), 130 interrupted.
    """

    def invoke(self, ctx: Any) -> Any:  # a click context, which Typer brings along under another name in each version
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            complain(f"Interrupted: `{ctx.command_path}` can be started again with the same words.")
            raise typer.Exit(INTERRUPTED) from None
        except UserError as error:
            _show(ctx.params["debug"], f"Error: {error}")
            raise typer.Exit(MISTAKE) from None
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
            _show(
                ctx.params["debug"],
                f"Error: dal-nlp crashed ({reason}); what is on the disk is safe, and --debug shows more.",
            )
            raise typer.Exit(CRASH) from None


def _show(debug: bool, sentence: str) -> None:
    """Print the traceback, where it is asked for, and the sentence."""
    if debug and is_first():
        traceback.print_exc()
    complain(sentence)
