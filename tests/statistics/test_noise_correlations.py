"""Are populations told apart by their noise correlations when they differ in them, and only then? Many simulated studies.

Two populations of the same units with the same means; trials are Gaussian, of unit variance unless said otherwise. Printed is
how often p ≤ .05: by shuffles of trials per unit (null: no noise correlations), and by trials exchanged between populations
(null: the same distribution).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from isocortex.similarity.stochastic_shape import Measure, Search, exchange_test, noise_test

M, R, P = 6, 24, 4
STUDIES, NULLS, ALPHA = 600, 39, 0.05
# Monte-Carlo error of a rate of 5 %, at three standard deviations.
SLACK = 3 * np.sqrt(ALPHA * (1 - ALPHA) / STUDIES)
SEARCH = Search(starts=2, tol=1e-6)
MEASURES = {
    "Gaussian": Measure(search=SEARCH),
    "energy": Measure("energy", search=SEARCH),
    "means only": Measure(alpha=2.0, search=SEARCH),
}


@dataclass(frozen=True)
class Noise:
    """Correlation of any two units in a trial, a gain of the standard deviation, and the share of variance that drifts.

    Drift is half a turn of a wave through the trials of all conditions, with weights of its own for each unit.
    """

    shared: float = 0.0
    gain: float = 1.0
    drift: float = 0.0


def drawn(noise: Noise, rng: np.random.Generator, means: np.ndarray) -> np.ndarray:
    own, common = rng.standard_normal((M, R, P)), rng.standard_normal((M, R, 1))
    trials = np.sqrt(1 - noise.shared) * own + np.sqrt(noise.shared) * common
    if noise.drift:
        wave = np.sqrt(2) * np.sin(np.pi * (np.arange(R)[:, None] / R + rng.random()))
        trials = np.sqrt(1 - noise.drift) * trials + np.sqrt(noise.drift) * wave * rng.standard_normal(P)
    return means[:, None] + noise.gain * trials


Test = Callable[[np.ndarray, np.ndarray, int], float]


def rejections(first: Noise, second: Noise, test: Test, studies: int = STUDIES) -> float:
    """The share of studies with p ≤ .05."""
    found = 0
    for study in range(studies):
        rng = np.random.default_rng([study, 0x6E6F6973])
        means = rng.standard_normal((M, P))
        found += test(drawn(first, rng, means), drawn(second, rng, means), study) <= ALPHA
    return found / studies


def shuffling(measure: str, block: int | None = None) -> Test:
    return lambda x, y, seed: noise_test(x, y, NULLS, MEASURES[measure], block, seed).p


def exchanging(measure: str) -> Test:
    return lambda x, y, seed: exchange_test(x, y, NULLS, MEASURES[measure], seed).p


def at_level(rate: float) -> bool:
    return abs(rate - ALPHA) <= SLACK


@pytest.mark.slow
def test_false_positives_of_shuffles_where_there_are_no_noise_correlations():
    cases = {"nothing differs": (Noise(), Noise()), "only the Fano factor": (Noise(), Noise(gain=1.5))}
    rates = {}
    for name, (first, second) in cases.items():
        for measure in ("Gaussian", "energy"):
            rates[name, measure] = rejections(first, second, shuffling(measure))
            print(f"shuffled, {name:<24} {measure:<10} {rates[name, measure]:.3f}")
    assert all(map(at_level, rates.values())), rates


@pytest.mark.slow
def test_power_to_tell_noise_correlations_apart():
    powers = {}
    for shared in (0.2, 0.4, 0.8):
        for measure in ("Gaussian", "energy"):
            for name, test in (("shuffled", shuffling(measure)), ("exchanged", exchanging(measure))):
                powers[shared, measure, name] = rejections(Noise(shared), Noise(), test, 200)
                print(f"correlation {shared} against 0, {name:<10} {measure:<10} power {powers[shared, measure, name]:.3f}")
    assert all(powers[0.4, measure, "shuffled"] > 0.7 for measure in ("Gaussian", "energy")), powers
    assert all(powers[0.8, measure, "exchanged"] > 0.7 for measure in ("Gaussian", "energy")), powers


@pytest.mark.slow
def test_means_alone_do_not_tell_noise_correlations_apart():
    rate = rejections(Noise(0.8), Noise(), exchanging("means only"))
    stochastic = rejections(Noise(0.8), Noise(), exchanging("Gaussian"), 200)
    print(f"correlation 0.8 against 0, exchanged: means only {rate:.3f}, Gaussian {stochastic:.3f}")
    assert at_level(rate)
    assert stochastic > 0.9
    assert rejections(Noise(0.8), Noise(), shuffling("means only"), 50) == 0  # shuffles do not change means


@pytest.mark.slow
def test_the_same_noise_correlations_in_both():
    """Exchanges are at level; shuffles have another null than this, and their rate is only printed."""
    for measure in ("Gaussian", "energy"):
        rate = rejections(Noise(0.4), Noise(0.4), exchanging(measure))
        shuffles = rejections(Noise(0.4), Noise(0.4), shuffling(measure), 200)
        print(f"correlation 0.4 in both, {measure:<10} exchanged {rate:.3f}, shuffled {shuffles:.3f}")
        assert at_level(rate)


@pytest.mark.slow
def test_slow_drift_needs_blocks():
    drifting = Noise(drift=0.5)
    for measure in ("Gaussian", "energy"):
        free = rejections(drifting, drifting, shuffling(measure), 200)
        blocked = rejections(drifting, drifting, shuffling(measure, 3))
        power = rejections(Noise(0.6, drift=0.3), Noise(drift=0.3), shuffling(measure, 3), 200)
        print(f"slow drift in both, {measure:<10} shuffled freely {free:.3f}, in blocks of 3 {blocked:.3f}, power {power:.3f}")
        assert free > 0.2
        assert at_level(blocked)
        assert power > 0.5
