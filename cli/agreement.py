"""``dal-nlp agreement``: how far annotators agree."""

from dal_nlp_cli.command import Debug, Folder, Trust
from dal_nlp_cli.terminal import say, table


def agreement(
    folder: Folder,
    trust: Trust = False,
    debug: Debug = False,
) -> None:
    """Show how far annotators agree beyond chance, by pair and by label, and what is disputed."""
    from dal_nlp.annotation.answer_store import AnswerStore
    from dal_nlp.annotation.quality import Agreement, by_label, by_pair, measure
    from dal_nlp.ledger.ledger import read_state

    def rows(agreements: list[Agreement]) -> list[tuple[str, ...]]:
        return [(" and ".join(a.names), f"{a.count:,}", f"{a.same:.2f}", f"{a.value:.2f}") for a in agreements]

    store = AnswerStore(folder, read_state(folder))
    pairs, labels, disputed = by_pair(store), by_label(store), store.disputed()
    if not pairs:
        say("Nothing has been answered by two people yet: --annotators a,b --overlap 10% has them answer the same.")
        return
    table(("annotators", "both answered", "same", measure(store)), rows(pairs))
    if labels:
        table(("label", "one said it", "both did", measure(store)), rows(labels))
    if disputed:
        say(f"Disputed: {len(disputed):,}; `dal-nlp label {folder} --conflicts` settles them.")
