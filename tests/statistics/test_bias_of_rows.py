"""Bias of every row of METRICS: scores of unrelated noise, and calibrated scores of a planted similarity beside the population.

A score is calibrated by the mean of its permutation null (`scores.md` §2): that makes unrelated noise 0 by construction, and
proves nothing. What must be shown is that a planted similarity is neither lost nor made larger: the calibrated score of few
stimuli beside that of many, of the same systems with the same noise. Where the two differ by more than .03, the row says by how
much (`Metric.deviation`), and models keep their order.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.similarity import METRICS
from isocortex.similarity.coordinates import coordinates
from isocortex.similarity.deconfounded import Confounded
from isocortex.similarity.noise_corrected import halved
from isocortex.similarity.rdm import rdm, to_square
from isocortex.similarity.summaries import fitted
from isocortex.similarity.trials import Trials

pytestmark = pytest.mark.slow

ROWS = [metric for metric in METRICS.values() if metric.deviation is not None]
NAMED = [metric.name for metric in ROWS]
NULL = 16
SHARED = (0.9, 0.6, 0.3)  # of a model's variance, that drives the region
DIMENSIONS = 8
# Units of model and region and repeats, and numbers of stimuli with how many subsets of so many are drawn of each world.
GRID = {(10, 2): ((50, 6), (500, 2)), (200, 4): ((50, 6), (200, 3)), (2000, 10): ((50, 4), (500, 2))}
WORLDS = 3
MANY = 1000
# Canonical correlations take five stimuli for each dimension of both sides, here sixteen.
LEAST = {"cca": 10 * 2 * DIMENSIONS + 1}
# Neurons of a region that are read one by one: more say the same at a price.
MOST_NEUROIDS, MOST_UNITS = 60, 300
ONE_BY_ONE = ("units", "responses")


def world(n, p, repeats, share, rng):
    """A model (n, p), and trials (n, R, q) of a region that shares a part of the model's dimensions with it."""
    common, own = rng.normal(size=(2, n, DIMENSIONS))
    model = np.sqrt(share) * common + np.sqrt(1 - share) * own
    mixing, reading = rng.normal(size=(2, DIMENSIONS, p)) / np.sqrt(DIMENSIONS)
    signal = common @ reading
    return model @ mixing + 0.1 * rng.normal(size=(n, p)), signal[:, None] + rng.normal(size=(n, repeats, p))


def narrowed(metric, x, trials):
    if metric.level in ONE_BY_ONE:
        return x[:, :MOST_UNITS], trials[:, :, :MOST_NEUROIDS]
    return x, trials


def squared(metric, x):
    return to_square(torch.as_tensor(rdm(x, metric.options["rdm"])))


def systems(metric, x, trials, rng):
    """What the inference gives the row."""
    x, trials = narrowed(metric, x, trials)
    mean = trials.mean(1)
    pair = {
        "rdm": lambda: (squared(metric, x), squared(metric, mean)),
        "halves": lambda: (squared(metric, x), halved(trials, metric.options["rdm"], 5)),
        "trials": lambda: (Trials(x, None, torch.device("cpu")), Trials(trials, None, torch.device("cpu"))),
        "patterns": lambda: tuple(_narrow(torch.as_tensor(z)) for z in (x, mean)),
    }.get(metric.level, lambda: (torch.as_tensor(x), torch.as_tensor(mean)))()
    if "confounder" not in metric.options:
        return pair
    other = rng.normal(size=(len(x), 12))
    taken = (squared(metric, other) if metric.level == "rdm" else torch.as_tensor(other),)
    return tuple(Confounded(one, taken) for one in pair)


def _narrow(x):
    return coordinates(x @ x.mT) if x.shape[1] > len(x) else x


def calibrated(metric, x, trials, rng):
    """Score, mean of its null, and the score from chance to identity."""
    layer, brain = systems(metric, x, trials, rng)
    method, every = fitted(metric.summarised(metric.options), [brain]), np.arange(len(x))
    first, second = method.of(layer, every), method.of(brain, every)
    score = float(method.compare([first], [second])[0, 0])
    moved = [method.permuted(first, rng.permutation(len(x))) for _ in range(NULL)]
    null = float(np.mean(method.compare(moved, [second])))
    best = 1.0 if metric.higher_is_closer else 0.0
    return score, null, (score - null) / (best - null)


def sizes(metric, n):
    return min(max(n, LEAST.get(metric.name, 0)), int(metric.options.get("max_stimuli", n)))


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
def test_unrelated_noise_scores_about_zero(metric):
    rng = np.random.default_rng(0)
    print(f"\n{metric.name}: unrelated noise, raw and calibrated")
    for p in (10, 100, 1000):
        n = 50 if metric.name not in LEAST else 10 * p + 50
        if metric.name in LEAST and p > 100:
            continue
        found = []
        for _ in range(16):
            x, trials = rng.normal(size=(n, p)), rng.normal(size=(n, 4, p))
            found.append(calibrated(metric, x, trials, rng))
        score, null, value = np.nanmean(np.array(found), axis=0)
        spread = np.nanstd([v for *_, v in found]) / 4
        print(f"  p {p:5d}, n {n:5d}: score {score:7.3f}, null {null:7.3f}, calibrated {value:7.3f} ± {spread:.3f}")
        if metric.name != "noise_corrected_rsa":  # there is no reliable part whose noise could be taken out
            assert abs(value) < max(0.03, 4 * spread)


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
def test_a_planted_similarity_is_that_of_the_population_within_what_the_row_says(metric):
    """Few stimuli are some of many of the same world: what differs is their number alone."""
    rng = np.random.default_rng(1)
    print(f"\n{metric.name}: calibrated score of few stimuli (of many), models that share .9, .6, .3")
    worst = 0.0
    for (p, repeats), subsets in GRID.items():
        if metric.name in LEAST and p > 10:
            continue  # refused: of more dimensions than a tenth of the stimuli
        many = np.empty((WORLDS, len(SHARED)))
        few = {n: np.empty((WORLDS, len(SHARED))) for n, _ in subsets}
        for w in range(WORLDS):
            for k, share in enumerate(SHARED):
                x, trials = world(sizes(metric, MANY), p, repeats, share, rng)
                many[w, k] = calibrated(metric, x, trials, rng)[2]
                for n, times in subsets:
                    kept = [np.sort(rng.permutation(len(x))[: sizes(metric, n)]) for _ in range(times)]
                    few[n][w, k] = np.mean([calibrated(metric, x[rows], trials[rows], rng)[2] for rows in kept])
        for n, found in few.items():
            mean, whole = found.mean(0), many.mean(0)
            error = (found - many).std(0, ddof=1) / np.sqrt(WORLDS)
            said = [f"{m:6.3f} ({t:6.3f}) ± {e:.3f}" for m, t, e in zip(mean, whole, error, strict=True)]
            print(f"  n {sizes(metric, n):4d}, p {p:4d}, R {repeats:2d}: {'   '.join(said)}")
            worst = max(worst, float((np.abs(mean - whole) - 2 * error).max()))
            assert mean[0] > mean[1] > mean[2] - 0.02, "the order of models is kept"
    print(f"  largest difference beyond chance {worst:.3f}; the row says {metric.deviation}")
    assert worst <= metric.deviation
