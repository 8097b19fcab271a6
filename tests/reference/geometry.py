"""Distances and clusterings by the definition: one pair, one row, one union at a time, in double precision."""

import numpy as np


def distance(a, b):
    return float(np.sqrt(((a.astype(np.float64) - b.astype(np.float64)) ** 2).sum()))


def pairwise(x, y):
    return np.array([[distance(a, b) for b in y] for a in x]).reshape(len(x), len(y))


def k_center(x, centres, k):
    """Farthest-first picks and their distances; all distances to all centres anew at every pick."""
    picks, scores = [], []
    for _ in range(k):
        near = [min(distance(row, c) for c in [*centres, *x[picks]]) for row in x]
        best = max((i for i in range(len(x)) if i not in picks), key=lambda i: near[i])
        picks.append(best)
        scores.append(near[best])
    return picks, scores


def typicality(x, neighbours):
    count = min(neighbours, max(len(x) // 2, 1))
    values = []
    for i, row in enumerate(x):
        nearest = sorted(distance(row, other) for j, other in enumerate(x) if j != i)[:count]
        values.append(1 / (np.mean(nearest) + 1e-5) if nearest else 1e5)
    return np.array(values)


def typiclust(x, labels, labeled_labels, smallest, neighbours, k):
    """Picks by the rule; the clusters must differ in (labels, size), or the order is not determined."""
    everywhere = [*labels, *labeled_labels]
    clusters = sorted(set(everywhere), key=lambda c: (list(labeled_labels).count(c), -everywhere.count(c)))
    clusters = [c for c in clusters if everywhere.count(c) > smallest]
    left, picks, turn = {c: [i for i in range(len(x)) if labels[i] == c] for c in clusters}, [], 0
    while len(picks) < k:
        cluster = clusters[turn % len(clusters)]
        turn += 1
        if left[cluster]:
            values = typicality(x[left[cluster]], neighbours)
            picks.append(left[cluster].pop(int(values.argmax())))
    return picks


def pure_share(x, labels, delta):
    """Share of rows whose open ball of radius delta holds rows of their own cluster only."""
    d = pairwise(x, x)
    return np.mean([all(labels[j] == labels[i] for j in np.flatnonzero(d[i] < delta)) for i in range(len(x))])


def newly_covered(x, labeled, delta, picks):
    """On the whole graph: how many uncovered rows each row is near to, before each of the picks; (len(picks), N)."""
    near = pairwise(x, x) < delta
    uncovered = np.array([all(distance(row, known) >= delta for known in labeled) for row in x])
    steps = []
    for pick in picks:
        steps.append((near & uncovered).sum(1))
        uncovered &= ~near[pick]
    return np.array(steps)


def coverage(x, chosen):
    """F(S): the sum over rows of the largest similarity to a chosen row, at least 0."""
    return sum(max([0.0, *(float(row.astype(np.float64) @ x[s].astype(np.float64)) for s in chosen)]) for row in x)


def max_cover(x, candidates, k):
    """Plain greedy for F among the candidates, F computed anew for every trial."""
    picks, gains = [], []
    for _ in range(k):
        before = coverage(x, picks)
        values = {c: coverage(x, [*picks, c]) - before for c in candidates if c not in picks}
        picks.append(max(values, key=values.get))
        gains.append(values[picks[-1]])
    return picks, gains


def average_linkage(members, n):
    """Join the two clusters with the least mean distance between rows until n are left.

    members: a list of rows for each leaf. Returns a set of frozensets of leaves.
    """
    clusters = [({i}, list(rows)) for i, rows in enumerate(members)]
    while len(clusters) > n:
        pairs = [(i, j) for i in range(len(clusters)) for j in range(i)]
        i, j = min(pairs, key=lambda p: pairwise(clusters[p[0]][1], clusters[p[1]][1]).mean())
        joined = (clusters[i][0] | clusters[j][0], clusters[i][1] + clusters[j][1])
        clusters = [c for c in clusters if c is not clusters[i] and c is not clusters[j]] + [joined]
    return {frozenset(leaves) for leaves, _ in clusters}
