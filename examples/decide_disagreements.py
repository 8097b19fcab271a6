"""A model labels beforehand, and a person decides where it and the model of the run disagree.

    python examples/decide_disagreements.py POOL TEST LABELED MODEL OUT

POOL, TEST and LABELED are files with the columns id, text and label, where POOL may do without the labels; MODEL is an
alias, a folder or a Hub id. The model that labels beforehand learns from LABELED here; it may be any other, such as a
large language model behind an API. The same script goes on with a run that was interrupted.
"""

import json
import sys
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import dal_nlp
from dal_nlp.annotation.parsing import now


class Deciding:
    """Answers a query itself where two models agree, and asks a person where they do not."""

    def __init__(self, labeled: str) -> None:
        rows = [json.loads(line) for line in Path(labeled).read_text(encoding="utf-8").split("\n") if line]
        self.other = make_pipeline(TfidfVectorizer(), LogisticRegression())
        self.other.fit([row["text"] for row in rows], [row["label"] for row in rows])
        self.asked = 0

    def __call__(self, query: dal_nlp.Query) -> dal_nlp.Label | str:
        """Return a label with its origin, or what the person typed ("skip" and "unsure" are answers too)."""
        first = str(self.other.predict([query.text])[0])
        second = query.suggestion["target"] if query.suggestion else None  # the run's model has learnt nothing yet
        if first == second:
            return dal_nlp.Label(query.id, first, dal_nlp.Origin("two models", now(), "agreement"))
        self.asked += 1
        return input(f"{query.text}\n{first}, or {second or 'something else'}? ")


if __name__ == "__main__":
    pool, test, labeled, model, out = sys.argv[1:]
    config = dal_nlp.RunConfig(
        task="sentiment",
        data=pool,
        test=test,
        model=model,
        out=out,
        initial=4,
        query_size=8,
        rounds=2,
        training={"min_steps": 5, "epochs": 1},
    )
    deciding = Deciding(labeled)
    result = dal_nlp.Session(config, oracle=deciding).run()
    print(f"\n{len(result.labels)} labels, {deciding.asked} of them by a person")
