import numpy as np
import pytest
import torch

from isocortex.inference import ceilings
from isocortex.inference.half_repeats import repeat_halves
from isocortex.similarity import compare_rdms, rdm


def brains(signal, n_subjects=4, n=16, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.random(n * (n - 1) // 2)
    return torch.as_tensor(signal * shared + rng.random((n_subjects, len(shared))))


@pytest.mark.parametrize("method", ["pearson", "cosine", "rho_a", "tau_a"])
def test_the_lower_ceiling_is_tested_and_the_upper_is_positive_on_noise(method):
    noise, signal = (ceilings.leave_one_subject_out(brains(s), method, 0) for s in (0.0, 1.0))
    assert noise.p() > 0.05
    assert signal.p() == pytest.approx(1 / 1001)
    assert signal.p(0) < 0.01
    assert noise.high.mean() > 0.15
    assert (signal.low <= signal.high).all()


def test_the_null_of_the_ceiling_permutes_every_subject():
    brain = brains(0.0, n_subjects=2, n=4)
    found = ceilings.leave_one_subject_out(brain, "pearson", 0)
    from itertools import permutations

    square = np.zeros((2, 4, 4))
    first, second = np.triu_indices(4, 1)
    square[:, first, second] = square[:, second, first] = brain.numpy()
    possible = [
        float(np.corrcoef(brain[0].numpy(), square[1][np.ix_(p, p)][first, second])[0, 1]) for p in permutations(range(4))
    ]
    assert found.null.shape == (1000, 2)
    assert np.abs(found.null[:, :1] - np.array(possible)).min(axis=1).max() < 1e-9
    assert found.null.std() == pytest.approx(np.std(possible), rel=0.15)


def test_halves_of_repeats_hold_every_valid_repeat_once():
    rng = np.random.default_rng(0)
    trials = rng.normal(size=(6, 5, 3))
    trials[2, 3:] = np.nan
    halves = repeat_halves(trials, 4, 0)
    assert halves.shape == (4, 2, 6, 3)
    assert (2 * halves[:, 0, 0] + 3 * halves[:, 1, 0]) / 5 == pytest.approx(np.broadcast_to(trials[0].mean(0), (4, 3)))
    assert (halves[:, 0, 2] + 2 * halves[:, 1, 2]) / 3 == pytest.approx(np.broadcast_to(trials[2, :3].mean(0), (4, 3)))


def test_a_single_subjects_ceiling_is_the_root_of_spearman_brown():
    rng = np.random.default_rng(0)
    trials = rng.normal(size=(20, 1, 12)) + 0.7 * rng.normal(size=(20, 4, 12))
    halves = torch.as_tensor(rdm(repeat_halves(trials, 5, 0)))
    found = ceilings.split_half(halves, None, "rho_a", 0)
    r = np.mean([float(compare_rdms(a, b, "rho_a")) for a, b in halves])
    assert found.low[0] == pytest.approx(np.sqrt(2 * r / (1 + r)))
    assert found.p() < 0.01
    masked = ceilings.split_half(halves, np.arange(20) % 2 == np.zeros((5, 1)), "rho_a", 0)
    assert masked.low[0] == pytest.approx(found.low[0], abs=0.15)
    noise = [torch.as_tensor(rdm(repeat_halves(rng.normal(size=(20, 4, 12)), 2, 0))) for _ in range(7)]
    assert np.median([ceilings.split_half(halves, None, "rho_a", 0).p() for halves in noise]) > 0.1
    assert np.isnan(ceilings.none(1, "no repeats").p())
