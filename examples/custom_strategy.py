"""A strategy of one's own, run beside the built-in ones.

    python examples/custom_strategy.py POOL TEST MODEL OUT

POOL and TEST are files with the columns id, text and label; MODEL is an alias, a folder or a Hub id. The same class
works on the command line, from the folder that holds this file:

    dal-nlp run --task sentiment --data POOL --test TEST --strategy custom_strategy:UncertainAndShort
"""

import sys
from dataclasses import dataclass

import numpy as np

import dal_nlp
from dal_nlp.strategies import probes
from dal_nlp.strategies.selectors import top_k


@dataclass(frozen=True)
class UncertainAndShort(dal_nlp.Strategy):
    """The most uncertain examples, less a penalty on those that take long to read.

    Reads: log_probs.
    Cost: one pass.
    Tasks: all.
    Reference: none.
    """

    penalty: float = 0.01  # nats a token; change it with --set strategy_options.penalty=0.02

    def select(self, pool: dal_nlp.Pool, k: int, rng: np.random.Generator) -> dal_nlp.Selection:
        """Choose the k largest of entropy - penalty x tokens."""
        entropy, tokens = pool.collect(probes.entropy, probes.length)
        return top_k(entropy - self.penalty * tokens, k, rng)


if __name__ == "__main__":
    pool, test, model, out = sys.argv[1:]
    config = dal_nlp.RunConfig(
        task="sentiment",
        data=pool,
        test=test,
        model=model,
        out=out,
        initial=8,
        query_size=4,
        rounds=1,
        training={"min_steps": 5, "epochs": 1},
    )
    result = dal_nlp.Session(config, strategy=UncertainAndShort()).run()
    for point in result.curve:
        print(point["labels"], point["values"])
