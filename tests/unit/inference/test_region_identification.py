"""Identification of regions: every statistic against naive loops, subsets and noise that statistics share, and refusals."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from isocortex.errors import DataError
from isocortex.inference.region_identification import (
    NOT_DONE,
    Measured,
    Plan,
    identified,
    identify_regions,
    noisy_rdms,
    pairs_of,
    resampled,
    thresholds,
)
from isocortex.inference.resampling import subsamples
from isocortex.similarity.rdm import rdm, to_square, to_vector

ALL = {"rsa": {}, "rsa_rank": {}, "topology": {"step": 0.1}, "geometry": {"step": 0.1}, "trsa": {"step": 0.2}}


def made(s: int = 4, r: int = 3, n: int = 8, noise: float = 2.0, seed: int = 0, *, patterned: bool = True) -> Measured:
    """Subjects whose regions share a geometry; as many features differ from region to region."""
    rng = np.random.default_rng(seed)
    shared = [rng.standard_normal((n, 6 + k)) for k in range(r)]
    patterns = [[x + noise * rng.standard_normal(x.shape) for x in shared] for _ in range(s)]
    rdms = torch.stack([torch.stack([rdm(torch.as_tensor(x), "correlation") for x in row]) for row in patterns])
    ids, names = [f"i{k}" for k in range(n)], [f"S{k}" for k in range(s)]
    return Measured(names, [f"R{k}" for k in range(r)], ids, rdms, patterns if patterned else None)


# --- naive versions ----------------------------------------------------------------------------------------------------


def scaled(d: np.ndarray) -> np.ndarray:
    d = d - d.mean()
    return d / np.sqrt((d**2).sum())


def rgtm(d: np.ndarray, lower: float, upper: float) -> np.ndarray:
    ranks = rankdata(d)
    a, b = np.quantile(ranks, [lower, upper])
    return np.clip((ranks - a) / (b - a), 0, 1)


def guesses(vectors: np.ndarray, kept: list[int], transform) -> dict[int, np.ndarray]:
    """Whether each region of each kept subject is nearest to its own mean over the other kept subjects."""
    found = {}
    for s in kept:
        others = [t for t in kept if t != s]
        means = [np.mean([transform(vectors[t, r]) for t in others], axis=0) for r in range(vectors.shape[1])]
        own = [transform(vectors[s, r]) for r in range(vectors.shape[1])]
        found[s] = np.array([np.argmin([((x - m) ** 2).sum() for m in means]) == r for r, x in enumerate(own)])
    return found


def naive(vectors: np.ndarray, name: str, pairs: np.ndarray | None) -> tuple[np.ndarray, list[int]]:
    everyone = list(range(len(vectors)))
    if pairs is None:
        found = guesses(vectors, everyone, {"rsa": scaled, "rsa_rank": rankdata}[name])
        return np.stack([found[s] for s in everyone]), []
    rows, chosen = [], []
    for s in everyone:
        training = [t for t in everyone if t != s]
        inner = [np.mean(list(guesses(vectors, training, lambda d, p=p: rgtm(d, *p)).values())) for p in pairs]
        chosen.append(int(np.argmax(np.round(inner, 9))))
        rows.append(guesses(vectors, everyone, lambda d, p=pairs[chosen[-1]]: rgtm(d, *p))[s])
    return np.stack(rows), chosen


@pytest.mark.parametrize("name", ALL)
def test_without_a_subject_is_without_it_everywhere(name):
    measured, pairs = made(s=5), thresholds(name, ALL[name])
    vectors = measured.rdms.numpy()
    _, without, chosen = identified(name, measured.rdms, pairs)
    for out in range(5):
        kept, right = [t for t in range(5) if t != out], []
        for t in kept:
            if pairs is None:
                transform = {"rsa": scaled, "rsa_rank": rankdata}[name]
            else:
                transform = lambda d, p=pairs[chosen[t]]: rgtm(d, *p)
            right.append(guesses(vectors, kept, transform)[t].mean())
        assert without[out] == pytest.approx(np.mean(right))


@pytest.mark.parametrize("name", ALL)
def test_every_statistic_is_its_naive_version(name):
    measured, plan = made(), Plan([5, 8], [0.0], 3, {name: ALL[name]}, seed=4)
    found = identify_regions(measured, plan)
    pairs, vectors = thresholds(name, ALL[name]), measured.rdms.numpy()
    for size, subset in product(range(2), range(3)):
        if (size, subset) in ((1, 1), (1, 2)):  # all stimuli are one subset
            assert (found.correct[0, size, 0, subset] == NOT_DONE).all()
            assert (found.chosen[0, size, 0, subset] == NOT_DONE).all()
            continue
        rows = subsamples(measured.stimulus_ids, 3, plan.sizes[size], 4)[subset]
        square = to_square(vectors)[..., rows[:, None], rows]
        expected, chosen = naive(to_vector(square), name, pairs)
        np.testing.assert_array_equal(found.correct[0, size, 0, subset], expected)
        if pairs is not None:
            np.testing.assert_array_equal(found.pairs[found.chosen[0, size, 0, subset]], pairs[chosen])


def test_families_hold_the_thresholds_of_their_names():
    assert {tuple(pair) for pair in np.round(thresholds("topology", {"step": 0.1}), 9)} == {(0.4, 0.5), (0.5, 0.6), (0.4, 0.6)}
    geometry = thresholds("geometry", {"step": 0.1})
    assert ((geometry[:, 1] - geometry[:, 0]) >= 0.8 - 1e-9).all()
    assert len(geometry) == 6
    assert len(thresholds("trsa", {"step": 0.05})) == 210
    assert thresholds("rsa", {}) is None


def test_subjects_alike_are_identified_and_strangers_are_not():
    plan = Plan([8], [0.0], 1, ALL)
    assert (identify_regions(made(noise=0.01), plan).correct == 1).all()
    strangers = identify_regions(made(s=12, noise=1000.0, seed=1), plan).correct[:, 0, 0, 0]
    assert (np.abs(strangers.mean(axis=(1, 2)) - 1 / 3) < 3 * np.sqrt(2 / 9 / 36)).all()


def test_the_scale_of_a_subjects_rdm_says_nothing():
    measured, plan = made(), Plan([6], [0.0], 4, {"rsa": {}})
    larger = torch.tensor([1.0, 5.0, 0.2, 30.0], dtype=torch.float64)[:, None, None] * measured.rdms + 3.0
    other = Measured(measured.subjects, measured.regions, measured.stimulus_ids, larger)
    np.testing.assert_array_equal(identify_regions(measured, plan).correct, identify_regions(other, plan).correct)


def test_an_rdm_without_variance_says_nothing():
    measured = made(noise=0.01, patterned=False)
    measured.rdms[0, 0] = 1.0
    found = identify_regions(measured, Plan([8], [0.0], 1, ALL)).correct
    assert (found >= 0).all()
    assert (found[:, 0, 0, 0, 1:, 1:] == 1).all()


def test_a_statistic_alone_sees_what_it_sees_beside_others():
    measured, together = made(), Plan([5], [0.0, 0.5], 3, ALL)
    found = identify_regions(measured, together).correct
    for row, name in enumerate(ALL):
        alone = identify_regions(measured, Plan([5], [0.0, 0.5], 3, {name: ALL[name]})).correct
        np.testing.assert_array_equal(alone[0], found[row])


def test_the_order_of_stimuli_changes_nothing():
    measured, plan = made(patterned=False), Plan([5, 8], [0.0], 4, ALL)
    order = np.random.default_rng(1).permutation(8)
    moved = torch.as_tensor(to_vector(to_square(measured.rdms.numpy())[..., order[:, None], order]))
    other = Measured(measured.subjects, measured.regions, [measured.stimulus_ids[k] for k in order], moved)
    np.testing.assert_array_equal(identify_regions(measured, plan).correct, identify_regions(other, plan).correct)


def test_places_of_pairs_in_a_vector():
    square = np.arange(36.0).reshape(6, 6)
    square = square + square.T
    subsets = np.array([[0, 2, 5], [1, 3, 4]])
    for rows, places in zip(subsets, pairs_of(subsets, 6), strict=True):
        np.testing.assert_array_equal(to_vector(square)[places], to_vector(square[rows[:, None], rows]))


# --- noise -------------------------------------------------------------------------------------------------------------


def test_noise_on_patterns_is_in_units_of_their_deviation():
    measured, plan = made(n=9), Plan([9], [0.0, 0.5, 2.0], 2, {"rsa": {}}, seed=7)
    noisy = noisy_rdms(measured, plan, 1)
    assert set(noisy) == {0.5, 2.0}
    for s, r in product(range(4), range(3)):
        patterns = measured.patterns[s][r]
        rng = np.random.default_rng([7, 1, *f"S{s}\0R{r}".encode()])
        added = patterns.std() * rng.standard_normal(patterns.shape)
        for level in (0.5, 2.0):
            expected = 1 - np.corrcoef(patterns + level * added)
            np.testing.assert_allclose(noisy[level][s, r].numpy(), to_vector(expected), atol=1e-12)


def test_noise_on_rdms_is_in_units_of_their_deviation_and_leaves_none_below_zero():
    measured, plan = made(n=30, patterned=False), Plan([30], [0.0, 1.0, 3.0], 1, {"rsa": {}})
    noisy, clean = noisy_rdms(measured, plan, 0), measured.rdms
    assert (noisy[3.0] >= 0).all()
    assert (noisy[3.0] == 0).any()
    kept = (noisy[1.0] > 0) & (noisy[3.0] > 0)
    first, third = (noisy[1.0] - clean)[kept], (noisy[3.0] - clean)[kept]
    torch.testing.assert_close(third, 3 * first)  # the same noise at every level
    small = noisy_rdms(measured, Plan([30], [0.01], 1, {"rsa": {}}), 0)[0.01]
    assert (small > 0).all()
    sd = (small - clean).std(-1, correction=0) / clean.std(-1, correction=0)
    torch.testing.assert_close(sd, torch.full_like(sd, 0.01), rtol=0.15, atol=0)  # of 435 entries


def test_all_subsets_are_done_where_there_is_noise():
    measured, plan = made(n=6), Plan([4, 6], [0.0, 0.5], 3, {"rsa": {}})
    done = [(size, noise, subset) for size, noise, subset, _ in resampled(measured, plan)]
    expected = set(product(range(2), range(2), range(3))) - {(1, 0, 1), (1, 0, 2)}
    assert len(done) == len(expected)
    assert set(done) == expected


# --- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "sizes", "text"),
    [
        (made(r=1), [5], "identification of regions: found the region R0, expected at least 2 to tell apart; add one"),
        (
            made(s=2),
            [5],
            "identification of regions: found 2 subjects with every region, expected at least 3, because one is left out and",
        ),
        (made(), [5, 9], "identification of regions: found a subset of 9 stimuli, expected 3 to 8; correct it"),
        (made(), [2], "identification of regions: found a subset of 2 stimuli, expected 3 to 8"),
    ],
)
def test_what_cannot_be_identified_is_refused(measured, sizes, text):
    with pytest.raises(DataError, match=text):
        identify_regions(measured, Plan(sizes, [0.0], 2, {"rsa": {}}))
