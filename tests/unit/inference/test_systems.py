"""Equal numbers of trials and units of two systems, and halves that regions of one subject share."""

from __future__ import annotations

import numpy as np

from isocortex.inference.space import Plan, all_halves
from isocortex.inference.systems import System, match


def test_systems_are_matched_on_what_both_have() -> None:
    def system(ids: str, counts: list[int], units: int) -> System:
        trials = np.zeros((len(ids), 12, units))
        shown = np.stack([np.where(np.arange(12) < count, np.arange(12), -1) for count in counts])
        return System("A", "m", list(ids), trials, shown)

    both = match(system("abcd", [12, 8, 9, 3], 5), system("dcab", [12, 10, 8, 7], 4), 8)
    assert both.first.tolist() == [0, 2]  # a and c; b and d were shown too seldom in one of them
    assert both.second.tolist() == [2, 1]
    assert both.trials.tolist() == [8, 9]
    assert both.half.tolist() == [4, 4]
    assert both.units == 4


def test_regions_of_a_subject_are_halved_alike_wherever_their_trials_are_stored() -> None:
    """Halves of two regions have no trial in common only if both are parted in the same way."""
    rng = np.random.default_rng(0)
    shown = rng.permutation(4 * 12).reshape(4, 12)
    shown[1, 3:7] = -1
    moved = np.pad(np.stack([rng.permutation(row) for row in shown]), ((0, 0), (2, 3)), constant_values=-1)
    systems = [
        System(region, "m", list("abcd"), np.zeros((*table.shape, 2)), table)
        for region, table in zip("AB", (shown, moved), strict=True)
    ]
    plan = Plan(least_trials=4, blocks=4, splits=5, shuffles=0, seed=1)
    for kinds in zip(*(all_halves(system, plan) for system in systems), strict=True):
        for splits in zip(*kinds, strict=True):
            for one, other in zip(*splits, strict=True):
                for row in range(4):
                    assert set(shown[row][one[row]]) == set(moved[row][other[row]])
            assert not (splits[0][0] & splits[0][1]).any()
            assert ((splits[0][0] | splits[0][1]) == (shown >= 0)).all()
