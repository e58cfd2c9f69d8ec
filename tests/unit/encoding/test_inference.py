"""Layer choice, nulls and draws of predictions; the mean over subjects; prevalence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from isocortex.encoding.ceilings import Ceiling
from isocortex.encoding.nested import OuterFit
from isocortex.encoding.scores import pearson
from isocortex.inference.encoder_cells import _all_ceiling, all_draws, mean_over_subjects
from isocortex.inference.encoder_nulls import Settings, choose
from isocortex.inference.encoders import Predictions, evaluate
from isocortex.inference.layer_fits import collect
from isocortex.inference.resampling import stimulus_counts
from isocortex.inference.subjects import prevalence, prevalence_note

N, V, TEST = 60, 5, 20
SETTINGS = Settings(draws=100, permutations=199)


def predictions(quality, seed=0, noise=1.0):
    """One outer split; layer l predicts with noise 1/quality[l]."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(N, V))
    train = list(range(TEST, N))
    made = [y + noise * rng.normal(size=(N, V)) / q if q else rng.normal(size=(N, V)) for q in quality]
    outer = [{"train": train, "test": list(range(TEST)), "inner": [train[:20], train[20:]]}]
    trials = (y[:, None] + 0.3 * rng.normal(size=(N, 3, V))).astype("f4")
    ids = [f"s{index}" for index in range(N)]
    y = torch.as_tensor(y)

    def blocks(part):  # as a stage does, some neuroids at a time
        for columns in (slice(0, 2), slice(2, V)):
            values = torch.as_tensor(part[:, columns])
            yield OuterFit(values[:TEST], values[TEST:], torch.ones(values.shape[1]), 0.0)

    fits = [[collect(blocks(part), y, outer[0], ids, SETTINGS, choosing=len(made) > 1)] for part in made]
    return Predictions(ids, y, trials[:TEST], outer, fits)


def test_the_best_layer_on_training_stimuli_wins_whatever_the_test_says():
    fit = predictions([0, 2])
    first, second = (row[0] for row in fit.fits)
    spoiled = replace(fit, fits=[[replace(first, test=second.test)], [replace(second, test=first.test)]])
    result = evaluate(spoiled, SETTINGS)
    assert result.chosen == 1
    assert result.votes.tolist() == [0, 1]
    assert result.layer_score[0] > result.layer_score[1] == pytest.approx(result.score)
    assert result.p > 0.01


def test_draws_are_scores_of_repeated_stimuli():
    fit = predictions([0, 2])
    result = evaluate(fit, SETTINGS)
    counts = stimulus_counts(fit.ids[:TEST], 100, 0)
    for draw in (0, 57):
        rows = np.repeat(np.arange(TEST), counts[draw])
        r = pearson(fit.fits[1][0].test.numpy()[rows], fit.y.numpy()[rows])
        assert result.draws[draw] == pytest.approx(np.median(r), abs=1e-6)  # draws are kept in float32
    assert (result.neuroids["ci_low"] < result.neuroids["r"]).all()


def test_layers_alike_share_the_votes():
    votes = evaluate(predictions([1, 1]), SETTINGS).votes
    assert votes.sum() == pytest.approx(1)
    assert votes.min() > 0


def test_null_per_neuroid():
    result = evaluate(predictions([2]), SETTINGS)
    values = result.neuroids
    assert (values["p"] <= values["p_max"]).all()
    assert (values["p"] <= values["q"]).all()
    assert len(result.null) == 199
    assert abs(result.null.mean()) < 0.05
    assert result.p == pytest.approx(1 / 200)


def test_fixed_null_is_uniform_on_noise():
    p = [evaluate(predictions([0], seed), Settings(draws=100, permutations=59)).p for seed in range(60)]
    assert abs(np.mean(p) - 0.5) < 0.12
    assert np.mean(np.array(p) <= 0.05) < 0.15


def test_permutations_auto_depend_on_size_alone():
    assert len(evaluate(predictions([1]), Settings(draws=100)).null) == 10_000


def moments(r):
    """Σab, Σa², Σb² of which `r` (P, v) is the correlation."""
    return np.stack([r, np.ones_like(r), np.ones_like(r)])


def test_refit_null_is_what_the_refits_say():
    rng = np.random.default_rng(0)
    asked = []

    def refit(orders):
        asked.append(len(orders))
        return moments(rng.normal(size=(len(orders), V)) * 0.01)

    result = evaluate(predictions([1]), Settings(draws=100), refit)
    assert asked == [200]
    assert result.null_kind == "permute_stimuli: refitted"
    assert np.abs(result.null).max() < 0.1
    assert result.p == pytest.approx(1 / 201)


def test_refit_near_the_threshold_asks_for_more():
    def refit(orders):
        return moments(np.where(np.arange(len(orders)) % 20 == 0, 0.99, 0.0)[:, None] * np.ones(V))

    assert len(evaluate(predictions([1]), Settings(draws=100), refit).null) == 1000


def test_samples_in_time_turn_within_their_runs():
    fit = replace(predictions([1]), runs=["a"] * 30 + ["b"] * 30)
    asked = []

    def refit(orders):
        asked.append(orders)
        return moments(np.zeros((len(orders), V)))

    result = evaluate(fit, Settings(draws=100), None)
    assert result.null_kind.startswith("shift_session: fixed predictions")
    assert len(np.unique(result.null)) <= 20  # one test run of 20 rows has no more turns than that
    split = fit.outer[0]
    both = replace(
        fit,
        outer=[split, {**split, "test": split["train"][:20], "train": split["test"] + split["train"][20:]}],
        trials=np.tile(fit.trials, (2, 1, 1)),
        fits=[[row[0], row[0]] for row in fit.fits],
    )
    evaluate(both, Settings(draws=100), refit)
    order = asked[0]
    assert ((order < 30) == (np.arange(N) < 30)).all()
    assert (np.diff(order[:, :30], axis=1) % 30 == 1).all()


def test_nan_never_wins():
    assert choose(np.array([[np.nan, np.nan], [0.1, np.nan]])).tolist() == [1, 0]


def test_all_is_the_mean_of_subjects():
    results = [evaluate(predictions([1], seed), SETTINGS) for seed in range(3)]
    drawn = all_draws(results, ["a", "b", "c"], SETTINGS)
    np.testing.assert_allclose(drawn, np.mean([result.draws for result in results], axis=0))
    np.testing.assert_allclose(mean_over_subjects(np.array([[1.0, np.nan], [3.0, np.nan]])), [2, np.nan])


@pytest.mark.parametrize(
    ("p", "normalized", "said"),
    [
        (0.01, 0.5, []),
        (0.01, float("nan"), []),  # the scores are undefined, not the signal
        (0.5, float("nan"), ["no reliable signal: the ceiling is not above its null"]),
    ],
)
def test_a_score_that_is_undefined_is_no_lack_of_signal(p, normalized, said):
    null = np.full(99, -1.0 if p < 0.05 else 1.0)
    ceiling = Ceiling(0.3, 0.6, p, 0.5, null, np.array([0.36]), 8)
    one = replace(evaluate(predictions([0.9]), Settings(draws=10, permutations=9)), ceiling=ceiling, normalized=normalized)
    values = {}
    assert _all_ceiling([one], values) == said
    assert (values["ceiling_low"], values["ceiling_high"]) == (0.3, 0.6)
    assert values.get("normalized") == (0.5 if normalized == 0.5 else None)


@pytest.mark.parametrize("shared", [True, False])
def test_many_subjects_are_resampled_without_counting_noise_twice(shared):
    """Noise of stimuli that all subjects share adds to the spread of subjects; each subject's own is in that spread already."""
    first = evaluate(predictions([1]), Settings(draws=4000, permutations=9))
    rng = np.random.default_rng(0)
    offsets = np.linspace(-0.3, 0.3, 8)
    noise = 0.1 * rng.normal(size=(1 if shared else 8, 4000)) * np.ones((8, 1))
    results = [replace(first, score=0.5 + o, draws=0.5 + o + e) for o, e in zip(offsets, noise, strict=True)]
    drawn = all_draws(results, [f"S{index}" for index in range(8)], Settings(draws=4000))
    expected = offsets.var(ddof=1) / 8 + (0.01 if shared else 0)
    assert drawn.var() == pytest.approx(expected, rel=0.15)
    assert drawn.mean() == pytest.approx(0.5, abs=0.01)


def test_prevalence():
    value, low, high = prevalence(3, 3)
    assert value == high == 1
    # All significant: the shortest interval ends at 1 and cuts off 5 % below, where (α + (1 − α)g)⁴ = α⁴ + .05 (1 − α⁴).
    assert low == pytest.approx(((0.05**4 + 0.05 * (1 - 0.05**4)) ** 0.25 - 0.05) / 0.95, abs=0.001)
    assert prevalence(0, 3)[0] == 0
    # Most probable value (Ince et al. 2021): (k/n − α)/(1 − α).
    assert prevalence(2, 4)[0] == pytest.approx((0.5 - 0.05) / 0.95, abs=0.001)
    assert prevalence_note([0.01, np.nan]).startswith("p < 0.05 in 1 of 1 subjects")
    assert prevalence_note([]) == ""
