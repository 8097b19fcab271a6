"""``dal-nlp push``: a run's model and labels on the Hugging Face Hub."""

from typing import Annotated

import typer

from dal_nlp_cli.command import Debug, Folder, Trust
from dal_nlp_cli.terminal import say


def push(
    folder: Folder,
    name: Annotated[str, typer.Argument(metavar="ORG/NAME", help="Of the model.", show_default=False)],
    private: Annotated[
        bool,
        typer.Option("--private/--public", metavar="", help="Who can see it. Default: private.", show_default=False),
    ] = True,
    license: Annotated[str, typer.Option(metavar="NAME", help="Of model and data, as the Hub calls it.")] = "unknown",
    salt: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Goes into the hashes of annotators: the same gives the same. Default: new each time.",
            show_default=False,
        ),
    ] = None,
    trust: Trust = False,
    debug: Debug = False,
) -> None:
    """Put the model of a finished run on the Hugging Face Hub, and its labels beside it as ORG/NAME-labels.

    The model comes with its card, the labels with who answered (a hash, no name), when, and why each was chosen. The
    address is HF_ENDPOINT, the token that of `hf auth login` or HF_TOKEN.
    """
    from secrets import token_hex

    from huggingface_hub import HfApi

    from dal_nlp.publishing.hub import push as put

    put(folder, name, HfApi(), salt or token_hex(16), private, license, say)
