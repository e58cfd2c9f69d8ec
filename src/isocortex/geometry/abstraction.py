"""How abstract the code of classes is: parallelism and generalisation across conditions (Bernardi et al. 2020).

The conditions are the classes of one label column. A dichotomy takes m classes against m others, m = min(`per_side`, half of
all classes): every balanced split where there are few classes, and otherwise `dichotomies` different ones drawn at random.
The value is that of the best dichotomy, the most abstract variable that the classes have. Their mean would say nothing: a
machine trained without a and b meets a on the side of A in one dichotomy and on that of B in another, so that generalisation
over all of them is ½ whatever the patterns are. The best of many is high by chance, too, and is read beside its null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations, permutations
from math import comb
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.geometry.machine import squared_hinge

Dichotomy = tuple[tuple[int, ...], tuple[int, ...]]
# Pairings are tried one by one: 120 of five.
MOST_PER_SIDE = 5


def parallelism(x: Any, labels: Any, *, dichotomies: int = 35, per_side: int = 4, seed: int = 0) -> float:
    """Parallelism score of the best dichotomy of the classes of `labels` (n,) in the patterns `x` (n, p); −1 to 1.

    Raises `DataError` for fewer than 4 classes.
    """
    member, number = _classes(labels)
    return _parallelism(as_tensor(x, dtype=torch.float64), member, choose_dichotomies(number, dichotomies, per_side, seed))


def parallelism_of_subsets(x: Any, masks: Any, labels: Any, *, dichotomies: int = 35, per_side: int = 4, seed: int = 0) -> Any:
    """`parallelism` (D,) of each subset of stimuli, `masks` (D, n) of 0 and 1, over the dichotomies that all stimuli have.

    Those with a class that a subset has lost are left out; NaN if that is every one.
    """
    member, number = _classes(labels)
    chosen = choose_dichotomies(number, dichotomies, per_side, seed)
    return like_input(_on_subsets(_parallelism, as_tensor(x, dtype=torch.float64), member, masks, chosen), x)


def _parallelism(patterns: torch.Tensor, member: np.ndarray, chosen: Sequence[Dichotomy]) -> float:
    belongs = torch.as_tensor(member, device=patterns.device)
    means = {int(c): patterns[belongs == int(c)].mean(dim=0) for c in np.unique(member)}
    return max(parallelism_score(*(torch.stack([means[c] for c in side]) for side in pair)) for pair in chosen)


def _on_subsets(
    value: Callable[[torch.Tensor, np.ndarray, Sequence[Dichotomy]], float],
    patterns: torch.Tensor,
    member: np.ndarray,
    masks: Any,
    chosen: Sequence[Dichotomy],
) -> torch.Tensor:
    found = np.full(len(masks), np.nan)
    for row, kept in enumerate(as_tensor(masks).cpu().numpy() > 0):
        own = member[kept]
        whole = [pair for pair in chosen if np.isin([*pair[0], *pair[1]], own).all()]
        if not whole:
            continue
        try:
            found[row] = value(patterns[torch.as_tensor(np.flatnonzero(kept), device=patterns.device)], own, whole)
        except DataError:  # a subset may not vary: no value, and not the end of a study
            continue
    return as_tensor(found, device=patterns.device)


def parallelism_score(first: Any, second: Any) -> float:
    """Mean cosine of coding vectors between the conditions `first` (m, p) and `second` (m, p), at the best of all pairings.

    A coding vector leads from a condition of one side to its partner on the other. The mean over m(m − 1)/2 pairs of unit
    vectors is (‖Σ‖² − m)/(m(m − 1)). Raises `DataError` for sides of unequal size, fewer than 2 conditions or more than 5.
    """
    a, b = as_tensor(first, dtype=torch.float64), as_tensor(second, dtype=torch.float64)
    m = len(a)
    if len(b) != m or not 2 <= m <= MOST_PER_SIDE:
        raise DataError(f"geometry: found {m} and {len(b)} conditions, expected as many on both sides, 2 to {MOST_PER_SIDE}")
    difference = b[None, :, :] - a[:, None, :]
    length = difference.norm(dim=2, keepdim=True)
    coding = torch.where(length > 0, difference / length, 0.0)
    pairings = torch.tensor(list(permutations(range(m))), device=a.device)
    sums = coding[torch.arange(m, device=a.device), pairings].sum(dim=1)
    return (float(sums.square().sum(dim=1).max()) - m) / (m * (m - 1))


def ccgp(
    x: Any, labels: Any, *, dichotomies: int = 35, per_side: int = 4, held_out: int = 4, c: float = 10.0, seed: int = 0
) -> float:
    """Cross-condition generalisation of the best dichotomy of the classes of `labels` (n,) in `x` (n, p); 0 to 1.

    As `condition_generalisation`, over at most `held_out` pairs. Raises `DataError` for fewer than 4 classes.
    """
    member, number = _classes(labels)
    chosen = choose_dichotomies(number, dichotomies, per_side, seed)
    return _ccgp(as_tensor(x, dtype=torch.float64), member, chosen, held_out=held_out, c=c)


def ccgp_of_subsets(
    x: Any,
    masks: Any,
    labels: Any,
    *,
    dichotomies: int = 35,
    per_side: int = 4,
    held_out: int = 4,
    c: float = 10.0,
    seed: int = 0,
) -> Any:
    """`ccgp` (D,) of each subset of stimuli, `masks` (D, n) of 0 and 1, over dichotomies as `parallelism_of_subsets`."""
    member, number = _classes(labels)
    chosen = choose_dichotomies(number, dichotomies, per_side, seed)
    value = partial(_ccgp, held_out=held_out, c=c)
    return like_input(_on_subsets(value, as_tensor(x, dtype=torch.float64), member, masks, chosen), x)


def _ccgp(patterns: torch.Tensor, member: np.ndarray, chosen: Sequence[Dichotomy], *, held_out: int, c: float) -> float:
    gram = _gram(patterns)
    return max(_generalisation(gram, member, a, b, held_out, c) for a, b in chosen)


def condition_generalisation(
    x: Any, labels: Any, first: Sequence[Any], second: Sequence[Any], *, held_out: int = 100, c: float = 10.0
) -> float:
    """Accuracy of a linear machine on a condition of either side that it has not seen, the mean over pairs of them.

    `first` and `second` are the labels of the two sides, at least two each. The support vector machine has squared hinge
    losses, with the penalty `c` for patterns of a mean square length of 1 about their mean, and weighs both sides alike; both
    left-out conditions count alike. The first m of the pairs leave every condition out once, the next m once more.
    Raises `DataError` for a side of one condition, or of one that no stimulus has.
    """
    names, member = np.unique(np.asarray(labels), return_inverse=True)
    place = {name: k for k, name in enumerate(names.tolist())}
    for side in (first, second):
        if len(side) < 2 or any(name not in place for name in side):
            raise DataError(f"geometry: found the side {list(side)}, expected at least 2 of the labels {list(place)}")
    a, b = (tuple(place[name] for name in side) for side in (first, second))
    return _generalisation(_gram(x), member, a, b, held_out, c)


def choose_dichotomies(classes: int, limit: int, per_side: int, seed: int) -> list[Dichotomy]:
    """Different pairs of disjoint sets of min(`per_side`, classes // 2) classes: all of them, or `limit` drawn at random.

    Raises `DataError` for `per_side` below 2 or above 5.
    """
    if not 2 <= per_side <= MOST_PER_SIDE:
        raise DataError(f"geometry: found {per_side} conditions per side, expected 2 to {MOST_PER_SIDE}")
    m = min(per_side, classes // 2)
    if comb(classes, m) * comb(classes - m, m) // 2 <= limit:
        sides = combinations(range(classes), m)
        return [(a, b) for a in sides for b in combinations([k for k in range(classes) if k not in a], m) if a[0] < b[0]]
    generator = np.random.default_rng([int(seed), 0x64696368, classes])
    found: dict[Dichotomy, None] = {}
    while len(found) < limit:
        drawn = generator.permutation(classes)[: 2 * m].tolist()
        a, b = sorted((tuple(sorted(drawn[:m])), tuple(sorted(drawn[m:]))))
        found[a, b] = None
    return list(found)


def _classes(labels: Any) -> tuple[np.ndarray, int]:
    names, member = np.unique(np.asarray(labels), return_inverse=True)
    if len(names) < 4:
        raise DataError(f"geometry: found {len(names)} classes in the labels, expected at least 4, two conditions on each side")
    return member, len(names)


def _gram(x: Any) -> np.ndarray:
    """Inner products of centred patterns of a mean square length of 1: all that a linear machine reads."""
    patterns = as_tensor(x, dtype=torch.float64)
    centred = patterns - patterns.mean(dim=0)
    gram = centred @ centred.T
    length = gram.diagonal().mean()
    if not float(length) > 0:
        raise DataError("geometry: found patterns that do not vary, expected some that do")
    return (gram / length).cpu().numpy()


def _generalisation(
    gram: np.ndarray, member: np.ndarray, a: tuple[int, ...], b: tuple[int, ...], held_out: int, c: float
) -> float:
    pairs = [(a[k % len(a)], b[(k + shift) % len(b)]) for shift in range(len(b)) for k in range(len(a))][:held_out]
    side = np.where(np.isin(member, b), 1.0, -1.0)
    accuracy = []
    for out_a, out_b in pairs:
        train = np.flatnonzero(np.isin(member, [k for k in (*a, *b) if k not in (out_a, out_b)]))
        sizes = np.where(side[train] > 0, (side[train] > 0).sum(), (side[train] < 0).sum())
        weights, offset = squared_hinge(gram[np.ix_(train, train)], side[train], 0.5 * c * len(train) / sizes)
        for out in (out_a, out_b):
            test = np.flatnonzero(member == out)
            beyond = gram[np.ix_(test, train)] @ weights + offset > 0
            accuracy.append(float(np.mean(beyond == (side[test] > 0))))
    return float(np.mean(accuracy))
