"""DUAL as it is told: pick after pick, each neighbourhood measured when its turn comes."""

from tests.reference import idds


def first_half(x, labeled, variances, k, share, neighbours, degenerate, lam):
    """Picks and their variances; `variances` has one for every row, of which only neighbours' are read."""
    picks, assumed_labeled, read = [], [], []
    turn = 0
    while turn < share * k and len(assumed_labeled) < len(x):
        values = idds.scores(x, labeled, assumed_labeled, lam)
        left = [i for i in range(len(x)) if i not in assumed_labeled]
        group = sorted(left, key=lambda i: -values[i])[:neighbours]
        read.extend(group)
        sound = [i for i in group if variances[i] < degenerate]
        picks.append(max(sound, key=lambda i: variances[i]) if sound else group[0])
        assumed_labeled.extend(group)
        turn += 1
    return picks, [variances[i] for i in picks], read
