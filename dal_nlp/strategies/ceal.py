"""CEAL: pseudo-labels for the examples that the model is surest of."""

import numpy as np

from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Positions
from dal_nlp.strategies import probes
from dal_nlp.strategies.pseudo_labels import Policy, PseudoTargets
from dal_nlp.strategies.selectors import descending


class Ceal(Policy):
    """The most uncertain for people, the surest for the model: entropy, with pseudo-labels for the confident remainder.

    In round r an example trains as its most likely class c if H(p) / log C < max(0, threshold - decay r), and if it is
    among the ``max_per_class`` of lowest entropy of those that are c, or the largest class would flood the rest. As a
    strategy, ``ceal`` stands for ``--strategy entropy --pseudo-labels ceal``; any other strategy goes with
    ``--pseudo-labels ceal`` too. Its options are set by ``--set pseudo_labels.threshold=0.05``, likewise ``decay``,
    ``max_per_class`` and ``weight`` (in the loss; a label has 1). All pseudo-labels are dropped after the fit, and the
    first choice, which is made with an untrained output layer, has none.

    Reads: log_probs.
    Cost: one pass, which it shares with the strategy; O(N C).
    Tasks: classification.
    Reference: Wang et al. (2017), Cost-effective active learning for deep image classification, section III and alg. 1.
    Deviations: the entropy is divided by log C, so that one threshold serves any number of classes; the cap and the
        weight are ours; where the entropy strategy chooses, near-duplicates are left out as everywhere.
    """

    reads = (probes.entropy, probes.class_log_probs)

    def choose(self, pool: Pool, asked: Positions, round: int, rng: np.random.Generator) -> PseudoTargets:
        """Choose the confident remainder."""
        entropies, log_probs = pool.collect(*self.reads)
        threshold = max(0.0, self.config.threshold - self.config.decay * round)
        sure = entropies.astype(np.float64) / np.log(log_probs.shape[1]) < threshold
        sure[asked] = False
        order = descending(-entropies, rng)
        order = order[sure[order]]
        outcomes = log_probs[order].argmax(1)
        kept = np.zeros(len(order), dtype=bool)
        for outcome in np.unique(outcomes):
            kept[np.flatnonzero(outcomes == outcome)[: self.config.max_per_class]] = True
        return PseudoTargets(order[kept], outcomes[kept], threshold)
