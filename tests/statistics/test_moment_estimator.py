"""Shape similarity from few stimuli, beside a planted one: the plug-in's bias, the moment estimator's, and its interval.

Systems of N units with unit variance, whose canonical correlations fall in a line around the planted similarity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from isocortex.similarity.shape import moment_similarity

SAMPLES = 200
SIMILARITIES = (0.0, 0.3, 0.6)
SIZES = ((10, 50), (10, 200), (20, 100), (50, 50), (50, 100), (50, 200))


@dataclass(frozen=True)
class Found:
    """Over samples: means of the plug-in and of the estimate with their standard errors, sd, bias bound, coverage."""

    plug_in: float
    plug_in_error: float
    estimate: float
    error: float
    sd: float
    claimed_sd: float
    bias_bound: float
    coverage: float

    def __str__(self) -> str:
        return (
            f"plug-in {self.plug_in:.3f}  estimate {self.estimate:+.3f} ± {self.error:.3f}  bias bound {self.bias_bound:.3f}  "
            f"sd {self.sd:.3f} (claimed {self.claimed_sd:.3f})  in the interval {self.coverage:.3f}"
        )


def drawn(similarity, n, m, rng):
    """Patterns of m stimuli, with means that are not zero."""
    correlations = similarity * np.linspace(1.5, 0.5, n)
    x = rng.normal(size=(m, n))
    y = correlations * x + np.sqrt(1 - correlations**2) * rng.normal(size=(m, n))
    return x + rng.normal(size=n), y[:, rng.permutation(n)] + rng.normal(size=n)


def simulate(similarity, n, m, samples, repeats=False):
    rng = np.random.default_rng([int(100 * similarity), n, m])
    found = []
    for _ in range(samples):
        x, y = drawn(similarity, n, m, rng)
        if repeats:
            x, y = (z + 0.7 * rng.normal(size=(2, m, n)) for z in (x, y))
        found.append(moment_similarity(x, y))
    estimates = np.array([f.estimate for f in found])
    inside = [f.interval[0] <= similarity <= f.interval[1] for f in found]
    plug_ins = np.array([f.plug_in for f in found])
    return Found(
        float(plug_ins.mean()),
        float(plug_ins.std() / np.sqrt(samples)),
        float(estimates.mean()),
        float(estimates.std() / np.sqrt(samples)),
        float(estimates.std()),
        float(np.mean([f.sd for f in found])),
        float(np.mean([f.bias_bound for f in found])),
        float(np.mean(inside)),
    )


def checked(found, similarity, n, m):
    assert abs(found.estimate - similarity) < found.bias_bound + 3 * found.error
    assert found.plug_in - similarity > 3 * found.plug_in_error
    if similarity == 0:
        assert found.plug_in > 0.8 * 8 / (3 * np.pi) * np.sqrt(n / m)
    assert found.coverage >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_plug_in_is_biased_and_the_moment_estimate_is_not(similarity, repeats):
    for n, m in SIZES:
        found = simulate(similarity, n, m, SAMPLES, repeats)
        print(f"\nsimilarity {similarity}, N {n}, M {m}{', two noisy repeats' if repeats else ''}:\n  {found}")
        checked(found, similarity, n, m)
        if similarity == 0:
            # Without a constant term no similarity is no bias at all, but for the mean's own.
            assert abs(found.estimate) < 3 * found.error + 1 / m


def test_a_few_samples_are_about_right():
    found = simulate(0.3, 20, 60, 20)
    checked(found, 0.3, 20, 60)
