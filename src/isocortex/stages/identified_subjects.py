"""Worlds of a region's subjects taken together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from isocortex.identification import Identified, Outcome, Plan, Worlds
from isocortex.identification.rates import rate_of

T = TypeVar("T")


def merged(found: Sequence[Identified], plan: Plan, names: Sequence[str]) -> Identified:
    """One result of all subjects' worlds, which take turns: the first w worlds of each are then the first w · S of all.

    Points are those that all subjects have, with numbers of stimuli and neuroids of the first; where they have different
    numbers of worlds at one, each has as many as the fewest. A method that a subject could not be asked by is left out, with
    the reason and whose it is.
    """
    if len(found) == 1:
        return found[0]
    first, subjects = found[0], len(found)
    skipped = _reasons([one.skipped for one in found], names)
    worlds = Worlds(
        truth=_in_turn([one.worlds.truth for one in found]),
        instance=_turns([one.worlds.instance for one in found]),
        layer=_turns([one.worlds.layer for one in found]),
        measurement=_turns([one.worlds.measurement for one in found]),
    )
    places = [{(point.axis, point.level): k for k, point in enumerate(one.points)} for one in found]
    shared = [key for key in places[0] if all(key in place for place in places)]
    outcomes = {
        name: tuple(
            _together([one.outcomes[name][place[key]] for one, place in zip(found, places, strict=True)]) for key in shared
        )
        for name in first.outcomes
        if name not in skipped
    }
    every = [[one.points[place[key]] for one, place in zip(found, places, strict=True)] for key in shared]
    points = tuple(replace(some[0], worlds=subjects * min(point.worlds for point in some)) for some in every)
    dropped = tuple(f"subject {name}: {why}" for one, name in zip(found, names, strict=True) for why in one.dropped)
    return Identified(first.kinds, first.truths, plan, points, worlds, outcomes, skipped, dropped, first.notes)


def _reasons(skipped: Sequence[Mapping[str, str]], names: Sequence[str]) -> dict[str, str]:
    """Why methods were left out, with the subjects where it is not for a reason that all have."""
    found: dict[str, str] = {}
    for method in dict.fromkeys(method for one in skipped for method in one):
        reasons = [one.get(method) for one in skipped]
        if len(set(reasons)) == 1:
            found[method] = str(reasons[0])
            continue
        said = [(name, why) for name, why in zip(names, reasons, strict=True) if why is not None]
        found[method] = "; ".join(f"subject {name}: {why.removeprefix('identification: ')}" for name, why in said)
    return found


def _together(parts: Sequence[Outcome]) -> Outcome:
    return Outcome(_in_turn([part.scores for part in parts]), _in_turn([part.itself for part in parts]))


def _in_turn(parts: Sequence[np.ndarray]) -> np.ndarray:
    """(w, …) of S subjects as (w · S, …), the first world of each first; w the fewest that one has."""
    fewest = min(map(len, parts))
    stacked = np.stack([part[:fewest] for part in parts], axis=1)
    return stacked.reshape(-1, *stacked.shape[2:])


def _turns(parts: Sequence[Sequence[T]]) -> tuple[T, ...]:
    return tuple(value for turn in zip(*parts, strict=True) for value in turn)


def rates_by_subject(found: Identified, subjects: int) -> np.ndarray:
    """How often each method named the right kind at the region's own point: (method, subject); one of k tied counts 1 / k.

    Worlds without any score do not count.
    """
    rates = np.full((len(found.outcomes), subjects), np.nan)
    for row, outcomes in enumerate(found.outcomes.values()):
        scores = outcomes[0].scores
        truth = np.asarray(found.worlds.truth)[: len(scores)]
        for subject in range(subjects):
            rates[row, subject] = rate_of(scores[subject::subjects], truth[subject::subjects]).rate
    return rates
