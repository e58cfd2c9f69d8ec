"""RSA without the brain's noise: beside loops over splits, planted geometries, and what the inference does with summaries."""

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.comparators.ranks import average_ranks
from isocortex.similarity.noise_corrected import Halved, halved, noise_corrected_rsa, summaries
from isocortex.similarity.rdm import rdm, to_square
from isocortex.similarity.summaries import compare_systems

N, R = 20, 6
COMPARE = ["pearson", "spearman"]


def world(n=N, repeats=R, noise=1.0, seed=0, p=30):
    """A model, trials of a region that shares some of its axes, and the region's responses without noise."""
    rng = np.random.default_rng(seed)
    shared, own = rng.normal(size=(2, n, 6))
    region = shared @ rng.normal(size=(6, p)) / 6**0.5
    model = (shared @ rng.normal(size=(6, 40)) + 0.8 * own @ rng.normal(size=(6, 40))) / 6**0.5
    return model, region[:, None] + noise * rng.normal(size=(n, repeats, p)), region, rng


def correlate(a, b, compare):
    if compare == "spearman":
        a, b = (average_ranks(torch.as_tensor(v)).numpy() for v in (a, b))
    return np.corrcoef(a, b)[0, 1]


def square(x, method="correlation"):
    return to_square(torch.as_tensor(rdm(x, method)))


def upper(matrix):
    return np.asarray(matrix)[np.triu_indices(len(matrix), 1)]


@pytest.mark.parametrize("compare", COMPARE)
@pytest.mark.parametrize("method", ["correlation", "euclidean"])
def test_score_is_that_of_loops_over_splits(compare, method):
    model, trials, _, _ = world()
    found = halved(trials, method, splits=7, seed=3)
    agreement = np.mean([correlate(upper(a), upper(b), compare) for a, b in found.halves])
    raw = correlate(rdm(model, method), rdm(trials.mean(1), method), compare)
    expected = raw / np.sqrt(2 * agreement / (1 + agreement))
    given = {"rdm": method, "compare": compare, "splits": 7, "seed": 3}
    assert noise_corrected_rsa(model, trials, **given) == pytest.approx(expected, abs=1e-12)
    assert noise_corrected_rsa(torch.as_tensor(model), torch.as_tensor(trials), **given) == pytest.approx(expected, abs=1e-12)
    assert noise_corrected_rsa(model, trials.mean(1), trials=trials, **given) == pytest.approx(expected, abs=1e-12)
    assert expected > raw


def test_halves_are_means_of_different_repeats_and_the_whole_of_all():
    _, trials, _, _ = world(repeats=5)
    trials[3, 4] = np.nan
    found = halved(trials, "euclidean", splits=30)
    assert found.whole.numpy() == pytest.approx(square(np.nanmean(trials, axis=1), "euclidean").numpy(), abs=1e-10)
    assert found.halves.shape == (30, 2, N, N)
    assert len(found) == N
    again, other = halved(trials, "euclidean", splits=30), halved(trials, "euclidean", splits=30, seed=1)
    assert torch.equal(found.halves, again.halves)
    assert not torch.allclose(found.halves, other.halves)
    # Of two repeats each half is one of them.
    two = halved(trials[:, :2], "euclidean", splits=1)
    values = {round(float(v), 8) for v in two.halves[0, :, 0, 1]}
    assert values <= {round(float(((trials[0, a] - trials[1, b]) ** 2).mean()), 8) for a in (0, 1) for b in (0, 1)}


def test_a_region_without_noise_is_not_corrected():
    model, trials, region, _ = world(noise=0.0)
    expected = correlate(rdm(model), rdm(region), "pearson")
    assert noise_corrected_rsa(model, trials) == pytest.approx(expected, abs=1e-10)
    assert noise_corrected_rsa(region, trials) == pytest.approx(1.0, abs=1e-10)


def test_it_finds_the_score_without_noise_where_there_is_signal():
    truth, raw, corrected = [], [], []
    for seed in range(15):
        model, trials, region, _ = world(50, 8, 1.5, seed, p=40)
        truth.append(correlate(rdm(model), rdm(region), "pearson"))
        raw.append(correlate(rdm(model), rdm(trials.mean(1)), "pearson"))
        corrected.append(noise_corrected_rsa(model, trials))
    assert np.mean(corrected) == pytest.approx(np.mean(truth), abs=0.03)
    assert np.mean(raw) < np.mean(truth) - 0.03


def test_noise_alone_has_no_score():
    """Of noise half of the regions have halves that do not agree; that of the others is zero on average."""
    found = []
    for seed in range(40):
        model, trials, _, _ = world(30, 4, seed=seed, p=100)
        rng = np.random.default_rng(seed)
        found.append(noise_corrected_rsa(model, rng.normal(size=trials.shape)))
    missing = np.isnan(found)
    assert 0.2 < missing.mean() < 0.8
    assert abs(np.nanmedian(found)) < 0.2


@pytest.mark.parametrize("compare", COMPARE)
def test_summaries_permute_and_draw_as_the_function(compare):
    model, trials, _, rng = world()
    method, every = summaries({"compare": compare}), np.arange(N)
    layer, brain = square(model), halved(trials)
    rows, order = np.sort(rng.permutation(N)[:13]), rng.permutation(N)
    expected = noise_corrected_rsa(model, trials, compare=compare)
    assert compare_systems(method, layer, brain) == pytest.approx(expected, abs=1e-12)
    one, other = method.of(layer, every), method.of(brain, every)
    permuted = noise_corrected_rsa(model[order], trials, compare=compare)
    assert method.compare([method.permuted(one, order)], [other])[0, 0] == pytest.approx(permuted, abs=1e-12)
    # The order of the other side, undone.
    back = method.permuted(other, np.argsort(order))
    assert method.compare([one], [back])[0, 0] == pytest.approx(permuted, abs=1e-12)
    part = Halved(brain.whole[rows][:, rows], brain.halves[:, :, rows][..., rows])
    drawn = method.compare([method.of(layer, rows)], [method.of(brain, rows)])[0, 0]
    assert drawn == pytest.approx(compare_systems(method, layer[rows][:, rows], part), abs=1e-12)
    table = method.compare([one, method.permuted(one, order)], [other, one])
    assert table == pytest.approx(np.array([[expected, 1.0], [permuted, table[1, 1]]]), abs=1e-12)
    assert len(other) == N
    assert method.permuting == "moderate"


def test_two_noisy_regions_are_both_corrected():
    _, trials, _, rng = world()
    other = trials[:, ::-1] + rng.normal(size=trials.shape)
    method = summaries({})
    systems = [halved(t) for t in (trials, other)]
    reliabilities = [method.of(s, np.arange(N)).reliability for s in systems]
    raw = correlate(rdm(trials.mean(1)), rdm(other.mean(1)), "pearson")
    assert compare_systems(method, *systems) == pytest.approx(raw / np.sqrt(np.prod(reliabilities)), abs=1e-12)


def test_halves_that_do_not_agree_give_no_score_and_a_note():
    rng = np.random.default_rng(0)
    whole, a, b = (square(rng.normal(size=(N, 8))) for _ in range(3))
    method, every = summaries({}), np.arange(N)
    opposite = method.of(Halved(whole, torch.stack([a, 2.0 - a])[None]), every)
    model = method.of(b, every)
    assert np.isnan(method.compare([model], [opposite])[0, 0])
    assert method.note(opposite) == "halves of the repeats do not agree: no noise-corrected score"
    assert method.note(model) == ""
    # Before splits are averaged, one may be below zero.
    mixed = Halved(whole, torch.stack([torch.stack([a, 2.0 - a]), *[torch.stack([a, a])] * 3]))
    assert method.of(mixed, every).reliability == pytest.approx(2 * 0.5 / 1.5)


def test_degenerate_input_is_refused():
    model, trials, _, _ = world()
    with pytest.raises(DataError, match=r"noise-corrected rsa: found responses of shape \(20, 30\), expected trials"):
        noise_corrected_rsa(model, trials.mean(1))
    short = trials.copy()
    short[2:4, 1:] = np.nan
    with pytest.raises(DataError, match="found 2 of 20 stimuli with fewer than two repeats, expected none; choose rsa"):
        noise_corrected_rsa(model, short)
    with pytest.raises(DataError, match="noise-corrected rsa: found 19 stimuli in x and 20 in y, expected the same stimuli"):
        noise_corrected_rsa(model[1:], trials)
    with pytest.raises(DataError, match="RDM: found 2 stimuli, expected at least 3"):
        noise_corrected_rsa(model[:2], trials[:2])
    with pytest.raises(DataError, match="RDM: found 1 constant patterns of 20, expected none"):
        noise_corrected_rsa(np.r_[np.ones((1, 40)), model[1:]], trials)
    method, square_of_model = summaries({}), square(model)
    with pytest.raises(DataError, match="noise-corrected rsa: found 2 stimuli, expected at least 3"):
        method.of(square_of_model, np.arange(2))
    with pytest.raises(DataError, match="noise-corrected rsa: found an RDM without variance, expected distances that differ"):
        method.of(1.0 - torch.eye(N, dtype=torch.float64), np.arange(N))
    square_of_model[0, 1] = square_of_model[1, 0] = torch.nan
    with pytest.raises(DataError, match="noise-corrected rsa: found 1 pairs of stimuli without a distance, expected none"):
        method.of(square_of_model, np.arange(N))
    with pytest.raises(ValueError, match=r"noise-corrected rsa: found compare 'tau_a', expected one of \['pearson'"):
        noise_corrected_rsa(model, trials, compare="tau_a")
