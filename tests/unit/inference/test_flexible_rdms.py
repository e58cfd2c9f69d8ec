from dataclasses import replace

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.inference import flexible
from isocortex.inference.flexible import corrected_draws, corrected_variance, evaluate_flexible
from isocortex.inference.flexible_folds import assigned, fold_keys, mixture
from isocortex.inference.flexible_resampling import permuted
from isocortex.inference.nulls import p_value
from isocortex.inference.rdm_blocks import RdmBlock
from isocortex.inference.table_draws import Settings
from isocortex.similarity import compare_rdms, rdm, to_square, to_vector
from isocortex.similarity.comparators import comparator, pooled

N = 14
IDS = tuple(f"s{k:02d}" for k in range(N))


def made(seed=0, n=N, n_subjects=3, n_layers=3, noise=1.0, mix=(0.6, 0.4)):
    """Brain RDMs (S, N) near a mixture of the first layers' RDMs (L, N), all of random patterns."""
    rng = np.random.default_rng(seed)
    layers = np.array([rdm(rng.normal(size=(n, 20))) for _ in range(n_layers)])
    own = np.array([rdm(rng.normal(size=(n, 20))) for _ in range(n_subjects)])
    return torch.as_tensor(np.asarray(mix) @ layers[: len(mix)] + noise * own), torch.as_tensor(layers)


def block(brain, layers, method="pearson", n=N, repeats=None):
    names = tuple(f"subject{k}" for k in range(len(brain)))
    ids = tuple(f"s{k:02d}" for k in range(n))
    return RdmBlock(names, ids, brain, layers, (comparator(method),), repeats)


def test_the_variance_of_assignments_is_taken_away():
    rng = np.random.default_rng(7)
    truth = 0.3 * rng.normal(size=(40_000, 2))
    runs = truth + 0.9 * rng.normal(size=(4, 40_000, 2))
    assert corrected_variance(runs) == pytest.approx(np.full(2, 0.09), rel=0.1)
    assert corrected_draws(runs).var(axis=0) == pytest.approx(corrected_variance(runs))
    covariance = [np.cov(runs[0, :, s], runs[1, :, s], ddof=0)[0, 1] for s in range(2)]
    assert corrected_variance(runs[:2]) == pytest.approx(np.array(covariance))
    runs[1, 5, 0] = np.nan
    kept = np.delete(runs[:, :, 0], 5, axis=1)
    assert corrected_variance(runs)[0] == pytest.approx(corrected_variance(kept))
    assert np.isnan(corrected_draws(runs)[5, 0])
    assert corrected_draws(np.ones((2, 5, 1))) == pytest.approx(np.ones((5, 1)))


@pytest.mark.parametrize("method", ["pearson", "rho_a"])
def test_a_planted_mixture_is_found_and_is_closer_than_any_layer(method):
    brain, layers = made(8, n=40, n_subjects=8, n_layers=4, noise=0.5)
    found = evaluate_flexible(block(brain, layers, method, 40), Settings(draws=20, permutations=99), "weighted")
    assert found.votes.mean(axis=0) == pytest.approx([0.6, 0.4, 0, 0], abs=0.04)
    assert found.chosen.tolist() == [0] * 8
    assert found.score.mean() > 0.95 * found.ceiling.low.mean()
    assert found.score.mean() < found.ceiling.high.mean()
    assert found.score.mean() > found.layer_scores.mean(axis=0).max() + 0.05
    single = evaluate_flexible(block(brain, layers, method, 40), Settings(draws=20, permutations=99), "selected")
    assert found.score.mean() > single.score.mean() + 0.05
    assert p_value(found.tested.mean(), found.null.mean(axis=1)) == 0.01


def test_an_interpolation_is_found():
    brain, layers = made(9, n=40, n_subjects=6, n_layers=5, noise=0.5, mix=(0, 0, 0.3, 0.7))
    found = evaluate_flexible(block(brain, layers, n=40), Settings(draws=20, permutations=99), "interpolated")
    assert found.votes.mean(axis=0) == pytest.approx([0, 0, 0.3, 0.7, 0], abs=0.05)
    assert found.choice == "a mixture of two neighbouring layers fitted on other stimuli and subjects, 5 folds, 20 times"


def test_all_parts_have_their_shapes_and_the_same_study_its_numbers():
    brain, layers = made(10)
    settings = Settings(draws=30, permutations=25, seed=2)
    found = evaluate_flexible(block(brain, layers), settings, "weighted")
    assert found.score.shape == found.tested.shape == (3,)
    assert found.layer_scores.shape == found.votes.shape == (3, 3)
    assert found.null.shape == (25, 3)
    assert found.runs.shape == (4, 30, 3)
    assert found.draws.values.shape == (30, 3)
    assert found.draws.influence.shape == (N, 3)
    assert found.variant_votes.shape == (3, 1)
    again = evaluate_flexible(block(brain, layers), settings, "weighted")
    assert (again.draws.values == found.draws.values).all()
    assert (again.null == found.null).all()


def test_the_order_of_stimuli_changes_no_score():
    brain, layers = made(11)
    order = np.random.default_rng(0).permutation(N)
    settings = Settings(draws=10, permutations=5)
    first = evaluate_flexible(block(brain, layers), settings, "weighted")
    moved = [to_vector(to_square(v)[:, order][:, :, order]) for v in (brain, layers)]
    turned = RdmBlock(first.block.subjects, tuple(IDS[k] for k in order), *moved, (comparator("pearson"),))
    second = evaluate_flexible(turned, settings, "weighted")
    assert second.score == pytest.approx(first.score)
    assert second.runs == pytest.approx(first.runs)


def test_ceilings_are_taken_in_the_folds_of_the_score():
    brain, layers = made(12)
    found = evaluate_flexible(block(brain, layers, "rho_a"), Settings(draws=5, permutations=5), "weighted")
    folds = assigned(fold_keys(IDS, flexible.N_ASSIGNMENTS, 0), np.ones((flexible.N_ASSIGNMENTS, N)))
    square, low, high = to_square(brain), [], []
    for row in folds:
        for fold in range(row.max() + 1):
            kept = np.flatnonzero(row == fold)
            part = to_vector(square[:, kept][:, :, kept])
            others = [pooled(part[[k for k in range(3) if k != s]], "rank") for s in range(3)]
            low.append([float(compare_rdms(others[s], part[s], "rho_a")) for s in range(3)])
            high.append([float(compare_rdms(pooled(part, "rank"), part[s], "rho_a")) for s in range(3)])
    assert found.ceiling.low == pytest.approx(np.mean(low, axis=0))
    assert found.ceiling.high == pytest.approx(np.mean(high, axis=0))


def test_a_single_subject_is_fitted_on_its_other_stimuli():
    brain, layers = made(13, n_subjects=1)
    alone = evaluate_flexible(block(brain, layers), Settings(draws=5, permutations=5), "weighted")
    assert alone.ceiling.note == "no repeats: no ceiling"
    assert "fitted on other stimuli, 3 folds" in alone.choice
    halves = brain[None] + 0.1 * torch.as_tensor(np.random.default_rng(0).random((6, 2, brain.shape[1])))
    repeated = evaluate_flexible(block(brain, layers, repeats=halves), Settings(draws=5, permutations=5), "weighted")
    folds = assigned(fold_keys(IDS, flexible.N_ASSIGNMENTS, 0), np.ones((flexible.N_ASSIGNMENTS, N)))
    values = []
    for k, row in enumerate(folds):
        for fold in range(row.max() + 1):
            kept = np.flatnonzero(row == fold)
            part = to_vector(to_square(halves[k % 6])[:, kept][:, :, kept])
            values.append(float(compare_rdms(part[0], part[1], "pearson")))
    r = np.mean(values)
    assert repeated.ceiling.low == pytest.approx([np.sqrt(2 * r / (1 + r))])
    assert repeated.score == pytest.approx(alone.score)


def test_a_model_that_is_opposite_predicts_nothing():
    brain, layers = made(14, noise=0.05)
    found = evaluate_flexible(block(brain, -layers[:2]), Settings(draws=5, permutations=20), "weighted")
    assert np.isnan(found.score).all()
    assert found.votes.tolist() == [[0, 0]] * 3
    assert "no layer positively related in 100% of the fits" in found.choice
    assert np.isnan(p_value(found.tested, found.null)).all()


def test_a_constant_layer_changes_nothing():
    brain, layers = made(15)
    settings = Settings(draws=5, permutations=5)
    more = torch.cat([layers, torch.full_like(layers[:1], 0.4)])
    first = evaluate_flexible(block(brain, layers), settings, "weighted")
    second = evaluate_flexible(block(brain, more), settings, "weighted")
    assert second.score == pytest.approx(first.score)
    assert second.votes[:, 3].tolist() == [0, 0, 0]
    assert second.draws.values == pytest.approx(first.draws.values)


def test_comparators_without_weights_take_subsamples():
    brain, layers = made(18)
    settings = Settings(draws=12, permutations=8)
    weighted = evaluate_flexible(block(brain, layers), settings, "weighted")
    plain = replace(comparator("pearson"), name="plain", weigh=None)
    found = evaluate_flexible(replace(weighted.block, comparators=(plain,)), settings, "weighted")
    assert found.resampled == "subsample"
    assert found.draws.influence is None
    assert np.isfinite(found.draws.values).all()
    assert found.score == pytest.approx(weighted.score)
    assert found.ceiling.low == pytest.approx(weighted.ceiling.low)
    assert found.null.shape == (8, 3)


def test_wrong_input_is_refused():
    brain, layers = made(17, n=5)
    with pytest.raises(DataError, match="found 5 stimuli, expected at least 6; use model: selected"):
        evaluate_flexible(block(brain, layers, n=5), Settings(), "weighted")
    brain, layers = made(17)
    brain[1, 3] = np.nan
    with pytest.raises(DataError, match="found 1 RDMs with missing or infinite values, expected none"):
        evaluate_flexible(block(brain, layers), Settings(), "weighted")
    with pytest.raises(ValueError, match="found 'mean', expected one of"):
        evaluate_flexible(block(layers, layers), Settings(), "mean")


def test_noise_has_a_score_about_zero_and_uniform_p():
    n_simulations, scores, p = 120, [], []
    for k in range(n_simulations):
        brain, layers = made(100 + k, n=18, n_subjects=3, n_layers=4, mix=(0,))
        model = mixture(brain, layers, comparator("pearson"), "weighted")
        ids = [f"s{i}" for i in range(18)]
        folds = assigned(fold_keys(ids, 3, k), np.ones((3, 18)))
        orders = np.vstack([np.arange(18), np.argsort(np.random.default_rng(k).random((99, 18)), axis=1)])
        values = permuted(model, folds, orders).mean(axis=1)
        scores.append(values[0])
        p.append(float(p_value(values[0], values[1:])))
    scores, p = np.array(scores), np.array(p)[np.isfinite(p)]
    error = scores.std() / np.sqrt(n_simulations)
    print(f"noise: mean score {scores.mean():.4f} ± {error:.4f}, p < .05 in {np.mean(p <= 0.05):.3f} of {len(p)}")
    assert abs(np.nanmean(scores)) < 3 * error
    assert len(p) > 0.9 * n_simulations
    # Binomial limits (99.9 %) of 120 tests at .05, and of a uniform distribution's deviation (Kolmogorov-Smirnov).
    assert np.mean(p <= 0.05) < 0.125
    assert np.abs(np.sort(p) - (np.arange(len(p)) + 0.5) / len(p)).max() < 1.95 / np.sqrt(len(p))
