"""What written texts look like, whatever they say: empty, repeating themselves, or the same for every document."""

from collections import Counter
from collections.abc import Sequence

from dal_nlp.core.text import words

#: A text repeats itself where a run of so many words stands in it so many times.
RUN, TIMES = 3, 3
SOUND, EMPTY, REPEATED, SAME = "sound", "empty", "repeats itself", "same as for another document"
KINDS = (SOUND, EMPTY, REPEATED, SAME)


def soundness(texts: Sequence[str]) -> list[str]:
    """Return what the texts for different documents look like, the first of these that holds for each.

    Empty; "repeats itself", where ``RUN`` words in a row stand in it ``TIMES`` times; the same text as for another
    document; else sound. Words are those of ``bleu.words``, of any script.
    """
    counts = Counter(texts)
    kinds = []
    for text in texts:
        tokens = words(text)
        runs = Counter(tuple(tokens[i : i + RUN]) for i in range(len(tokens) - RUN + 1))
        if not tokens:
            kinds.append(EMPTY)
        elif max(runs.values(), default=0) >= TIMES:
            kinds.append(REPEATED)
        else:
            kinds.append(SAME if counts[text] > 1 else SOUND)
    return kinds
