"""A pool whose measurements are given, and which tells what was asked of it."""

import numpy as np


class GivenPool:
    """Measurements by probe, each an array of N rows; `asked` lists the positions that each probe was asked about."""

    def __init__(self, results, labeled=None, asked=None, positions=None):
        self.results, self._labeled = results, labeled
        self.asked = {} if asked is None else asked
        self.positions = np.arange(len(next(iter(results.values())))) if positions is None else positions

    def __len__(self):
        return len(self.positions)

    @property
    def has_labeled(self):
        return self._labeled is not None

    @property
    def labeled(self):
        return self._labeled

    def take(self, positions):
        return GivenPool(self.results, self._labeled, self.asked, self.positions[positions])

    def collect(self, *probes):
        for probe in probes:
            self.asked.setdefault(probe, []).append(self.positions.tolist())
        return tuple(self.results[probe][self.positions] for probe in probes)
