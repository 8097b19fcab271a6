"""``dal-nlp suspects``: labels that are likely wrong."""

from dal_nlp_cli.command import Debug, Folder, Quiet, Trust
from dal_nlp_cli.terminal import progress, say, table

#: Most suspects, and characters of their texts, that are shown.
_ROWS, _SHOWN = 20, 80


def suspects(
    folder: Folder,
    quiet: Quiet = False,
    trust: Trust = False,
    debug: Debug = False,
) -> None:
    """Find labels that are likely wrong, and queue them for people.

    cleanlab compares each label with what a classifier says that was fitted to the others. Nothing is changed: `dal-nlp
    label DIR --suspects` asks about them, and so does the sheet that is written.
    """
    from dal_nlp.annotation.answer_store import open_answer_store
    from dal_nlp.workflows.label_errors import find_suspects, write_suspects

    with open_answer_store(folder) as store:
        rows, count = find_suspects(store, progress(quiet))
        if not rows:
            say(f"None of {count:,} labels looks wrong.")
            return
        path, stopped = write_suspects(store, rows), store.state.stopped
        format_answer = store.task.answer_format.format_answer
        lines = [
            (
                row["id"],
                format_answer(store.state.answers[row["id"]], example),
                format_answer(row["target"], example),
                f"{row['doubt']:.2f}",
                store.task.show(example)[:_SHOWN].replace("\n", " "),
            )
            for row, example in ((row, store.example(row["id"])) for row in rows[:_ROWS])
        ]
    table(("id", "label", "the others say", "doubt", "text"), lines)
    say(
        f"Labels that look wrong: {len(rows):,} of {count:,}. Check them with `dal-nlp label {folder} --suspects`, or "
        f"in {path}, which an `--oracle file` run reads when it goes on; `dal-nlp relabel` corrects one."
    )
    if stopped is not None:
        say("The run is finished: `dal-nlp run` with more --rounds or --budget trains with what was corrected.")
