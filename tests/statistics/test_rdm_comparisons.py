"""What p values, intervals and comparisons of models say, beside what is true: `scores.md` §9, 2000 studies per setting.

Rates of 2000 studies have standard errors of .005 where they are .05 or .95.
"""

from __future__ import annotations

import numpy as np
import pytest
from cases import FEW, FIXED_STIMULI, MANY, case
from populations import Population, draw_gains, draw_stimuli
from simulations import simulate
from world import ceiling_p, rdms

N_NOISE = 2000


def shown(name, found):
    """Prints a line of the table."""
    print(f"\n{name}:\n  {found}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("setting", FEW, ids=str)
def test_few_subjects(setting):
    """Subjects are fixed, stimuli are a sample: what rows of one to five subjects claim."""
    found = shown(setting, simulate(setting))
    assert 0.93 <= found.coverage <= 0.98
    assert 0.03 <= found.false_p <= 0.06
    assert 0.03 <= found.false_difference <= 0.06
    assert found.power > 0.1
    assert found.power_difference > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("setting", MANY, ids=str)
def test_many_subjects(setting):
    """Subjects and stimuli are samples: what rows of six and more subjects claim."""
    found = shown(setting, simulate(setting))
    assert 0.93 <= found.coverage <= 0.98
    assert 0.03 <= found.false_p <= 0.06
    assert 0.01 <= found.false_difference <= 0.06
    assert found.power > 0.25
    assert found.power_difference > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("setting", FIXED_STIMULI, ids=str)
def test_other_subjects_with_the_same_stimuli(setting):
    """`generalise: subject` is about other subjects alone; an interval for other stimuli, too, is on the safe side."""
    found = shown(setting, simulate(setting, generalise="subject"))
    assert 0.93 <= found.coverage <= 0.98
    assert 0.03 <= found.false_p <= 0.06
    assert 0.01 <= found.false_difference <= 0.06
    assert found.power > 0.1
    assert found.power_difference > 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("n_subjects", "compare"), [(2, "rho_a"), (5, "rho_a"), (5, "pearson"), (15, "pearson")])
def test_the_lower_ceiling_of_noise(n_subjects, compare):
    """Subjects that share nothing seldom have a lower ceiling that is significant; subjects that share something have."""
    rng = np.random.default_rng(0)
    noise = [ceiling_p(rdms(rng.normal(size=(n_subjects, 20, 60)), "correlation"), compare, k) for k in range(N_NOISE)]
    signal = []
    for k in range(100):
        patterns = rng.normal(size=(n_subjects, 20, 60)) + 0.8 * rng.normal(size=(20, 60))
        signal.append(ceiling_p(rdms(patterns, "correlation"), compare, k))
    false, power = np.mean(np.array(noise) <= 0.05), np.mean(np.array(signal) <= 0.05)
    shown(f"ceiling of {n_subjects} subjects, {compare}", f"false {false:.3f}, power {power:.2f}")
    assert 0.03 <= false <= 0.06
    assert power > 0.4


def test_a_few_studies_are_about_right():
    """Sixty studies of five subjects: what is far off is seen at once, and a test that never rejects, too."""
    found = simulate(case("stimuli", 5, 20, False, 1), 60, 100)
    assert found.coverage > 0.85
    assert max(found.false_p, found.false_difference) < 0.17
    assert found.power > 0.6
    assert found.power_difference > 0.2
    assert found.score == pytest.approx(found.truth, abs=0.03)


@pytest.mark.parametrize("tied", [False, True])
def test_models_a_and_b_are_equal_by_construction(tied):
    """Where stimuli are fixed, one order of them turns a's RDMs into b's and leaves the coordinates of the brain alone but
    for the swap of a and b; where subjects are fixed, they see both alike."""
    population = Population("subjects", 3, 12, tied, 5)
    stimuli = draw_stimuli(population, np.random.default_rng(0))
    order = np.roll(np.arange(12), 6)
    for a, b in zip(stimuli.a, stimuli.b, strict=True):
        distance = np.square(a[order][:, None] - a[order][None]).sum(-1)
        assert distance == pytest.approx(np.square(b[:, None] - b[None]).sum(-1))
    assert stimuli.brain[order][:, 4:8] == pytest.approx(stimuli.brain[:, 8:12])
    fixed = draw_gains(Population("stimuli", 3, 12, tied), np.random.default_rng(0))
    assert (fixed[:, 4:8] == fixed[:, 8:12]).all()
    assert fixed.std(axis=0).min() > 0
