"""Worlds of a region's subjects taken together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from isocortex.identification import Identified, Outcome, Plan, Worlds
from isocortex.identification.rates import named

T = TypeVar("T")


def merged(found: Sequence[Identified], plan: Plan) -> Identified:
    """One result of all subjects' worlds, which take turns: the first w worlds of each are then the first w · S of all.

    Numbers of stimuli and neuroids of its points are those of the first subject. A method that a subject could not be asked
    by is left out, with the reason.
    """
    if len(found) == 1:
        return found[0]
    first, subjects = found[0], len(found)
    skipped = {name: reason for one in found for name, reason in one.skipped.items()}
    worlds = Worlds(
        truth=_in_turn([one.worlds.truth for one in found]),
        instance=_turns([one.worlds.instance for one in found]),
        layer=_turns([one.worlds.layer for one in found]),
        measurement=_turns([one.worlds.measurement for one in found]),
    )
    outcomes = {
        name: tuple(
            Outcome(_in_turn([part.scores for part in parts]), _in_turn([part.itself for part in parts]))
            for parts in zip(*(one.outcomes[name] for one in found), strict=True)
        )
        for name in first.outcomes
        if name not in skipped
    }
    points = tuple(replace(point, worlds=point.worlds * subjects) for point in first.points)
    return Identified(first.kinds, first.truths, plan, points, worlds, outcomes, skipped)


def _in_turn(parts: Sequence[np.ndarray]) -> np.ndarray:
    """(w, …) of S subjects as (w · S, …), the first world of each first."""
    stacked = np.stack(parts, axis=1)
    return stacked.reshape(-1, *stacked.shape[2:])


def _turns(parts: Sequence[Sequence[T]]) -> tuple[T, ...]:
    return tuple(value for turn in zip(*parts, strict=True) for value in turn)


def rates_by_subject(found: Identified, subjects: int) -> np.ndarray:
    """How often each method named the right kind at the region's own point: (method, subject); one of k tied counts 1 / k."""
    rates = np.full((len(found.outcomes), subjects), np.nan)
    for row, outcomes in enumerate(found.outcomes.values()):
        scores = outcomes[0].scores
        truth = np.asarray(found.worlds.truth)[: len(scores)]
        right = named(scores)[np.arange(len(scores)), truth]
        for subject in range(subjects):
            rates[row, subject] = right[subject::subjects].mean()
    return rates
