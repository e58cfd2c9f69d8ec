"""Noise ceilings in bootstrap draws: against pools and comparisons of entries repeated one by one."""

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from isocortex.similarity import compare_rdms
from isocortex.similarity.comparators import COMPARATORS
from isocortex.similarity.comparators.resampled import weighted_ceilings
from isocortex.similarity.trsa.comparators import trsa_comparator

METHODS = sorted(name for name, chosen in COMPARATORS.items() if chosen.weigh is not None)
N = 7
FIRST, SECOND = np.triu_indices(N, 1)


def repeated(rows, counts):
    """RDMs of repeated stimuli with NaN for pairs of a stimulus with itself."""
    copies = np.repeat(np.arange(N), counts)
    square = np.full((len(rows), N, N), np.nan)
    square[:, FIRST, SECOND] = square[:, SECOND, FIRST] = rows
    upper = np.triu_indices(len(copies), 1)
    return square[:, copies][:, :, copies][:, upper[0], upper[1]]


def pool(rows, how):
    known = np.isfinite(rows[0])
    scaled = np.full(rows.shape, np.nan)
    for k, row in enumerate(rows[:, known]):
        z = row - row.mean() if how == "z" else row
        scaled[k, known] = rankdata(row) if how == "rank" else z / np.sqrt((z**2).mean())
    return scaled.mean(0)


def naive(rows, who, method):
    """Lower and upper ceilings of one draw of subjects, of RDMs that may miss pairs."""
    how = COMPARATORS[method].pool
    low, high = [], []
    everyone = pool(np.repeat(rows, who, axis=0), how)
    for s in np.flatnonzero(who):
        others = np.where(np.arange(len(rows)) == s, 0, who)
        if others.any():
            low.append(float(compare_rdms(pool(np.repeat(rows, others, axis=0), how), rows[s], method)))
        high.append(float(compare_rdms(everyone, rows[s], method)))
    return [np.mean(low) if low else np.nan, np.mean(high)]


@pytest.fixture(params=["untied", "tied"])
def brain(request):
    rng = np.random.default_rng(0)
    shared, own = rng.random(21), rng.random((4, 21))
    return np.round((shared + own) * 3) if request.param == "tied" else shared + own


@pytest.fixture
def counts():
    rng = np.random.default_rng(1)
    return np.vstack([rng.multinomial(N, np.full(N, 1 / N), size=4), np.ones((1, N), int)])


@pytest.fixture
def who():
    rng = np.random.default_rng(2)
    return np.vstack([rng.multinomial(4, np.full(4, 0.25), size=3), [[0, 4, 0, 0]], [[1, 1, 0, 2]]])


@pytest.mark.parametrize("method", METHODS)
def test_ceilings_of_draws_equal_pools_of_repeated_stimuli(brain, counts, who, method):
    found = weighted_ceilings(torch.as_tensor(brain), torch.as_tensor(counts), torch.as_tensor(who), method).numpy()
    expected = [naive(repeated(brain, c), w, method) for c, w in zip(counts, who, strict=True)]
    assert found == pytest.approx(np.array(expected), abs=1e-10, nan_ok=True)
    assert np.isnan(found[3, 0])
    assert np.isfinite(found[3, 1])


@pytest.mark.parametrize("method", METHODS)
def test_one_row_of_stimuli_serves_all_draws_of_subjects_and_draws_stack(brain, counts, who, method):
    tensors = torch.as_tensor(brain), torch.as_tensor(counts)
    both, everyone = torch.as_tensor(who), torch.ones((5, 4), dtype=torch.int64)
    stacked = weighted_ceilings(*tensors, torch.stack([both, everyone]), method)
    assert stacked.shape == (2, 5, 2)
    for part, subjects in zip(stacked, (both, everyone), strict=True):
        assert part.numpy() == pytest.approx(weighted_ceilings(*tensors, subjects, method).numpy(), abs=1e-12, nan_ok=True)
    once = weighted_ceilings(tensors[0], torch.ones((1, N)), both, method).numpy()
    expected = [naive(brain, w, method) for w in who]
    assert once == pytest.approx(np.array(expected), abs=1e-10, nan_ok=True)


@pytest.mark.parametrize("method", METHODS)
def test_draws_that_say_nothing_are_missing(brain, method):
    few = torch.tensor([[4, 3, 0, 0, 0, 0, 0], [2, 2, 3, 0, 0, 0, 0]])
    incomplete = torch.as_tensor(brain).clone()
    incomplete[1, 5] = np.nan
    who = torch.tensor([[1, 0, 2, 1], [1, 1, 1, 1]])
    assert weighted_ceilings(torch.as_tensor(brain), few, who, method).isnan().all(1).tolist() == [True, False]
    usual = torch.ones((2, N), dtype=torch.int64)
    assert weighted_ceilings(incomplete, usual, who, method).isnan().all(1).tolist() == [False, True]


def test_transformed_rdms_are_transformed_in_every_draw_and_pooled_after(brain, counts, who):
    chosen = trsa_comparator("rgtm", 0.2, 0.7, "pearson")
    found = weighted_ceilings(torch.as_tensor(brain), torch.as_tensor(counts), torch.as_tensor(who), chosen).numpy()
    for c, w, values in zip(counts, who, found, strict=True):
        rows = repeated(brain, c)
        known = np.isfinite(rows[0])
        rows[:, known] = chosen.transform(torch.as_tensor(rows[:, known])).numpy()
        assert values == pytest.approx(np.array(naive(rows, w, "pearson")), abs=1e-10, nan_ok=True)


def test_a_comparator_without_weights_has_no_ceilings_of_draws():
    ones = torch.ones((2, 3), dtype=torch.float64)
    with pytest.raises(ValueError, match="'bures' has no weighted form"):
        weighted_ceilings(ones, torch.ones((1, 3)), torch.ones((1, 2)), "bures")
