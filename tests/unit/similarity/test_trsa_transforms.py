import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import rankdata

from isocortex.errors import DataError
from isocortex.similarity.trsa import FAMILIES, family, grid, gtm, rgtm, sigmoid
from isocortex.similarity.trsa.order import mid_ranks, quantiles

LEVELS = [(0.2, 0.8), (0.0, 1.0), (0.0, 0.25), (0.45, 0.5), (0.3, 0.3), (1.0, 1.0), (0.0, 0.0)]


def naive(d, lower, upper):
    """One RDM, one entry at a time; entries that are NaN take no part."""
    a, b = np.quantile(d[~np.isnan(d)], [lower, upper])
    result = np.empty(len(d))
    for k, value in enumerate(d):
        if np.isnan(value):
            result[k] = np.nan
        elif b > a:
            result[k] = min(max((value - a) / (b - a), 0.0), 1.0)
        else:
            result[k] = float(value >= b)
    return result


def naive_ranks(d):
    result = np.full(len(d), np.nan)
    result[~np.isnan(d)] = rankdata(d[~np.isnan(d)])
    return result


@pytest.fixture(params=["untied", "tied", "heavily tied", "missing"])
def rdms(request):
    values = np.random.default_rng(3).random((4, 45))
    if request.param == "missing":
        values[0, 4] = values[2, [0, 44]] = np.nan
        values[3] = np.round(values[3] * 3)
        values[3, :7] = np.nan
    return {"tied": np.round(values * 9), "heavily tied": np.round(values) - 0.3}.get(request.param, values)


@pytest.mark.parametrize(("lower", "upper"), LEVELS)
def test_transforms_equal_loops(rdms, lower, upper):
    before = rdms.copy()
    values = np.array([naive(row, lower, upper) for row in rdms])
    ranks = np.array([naive(naive_ranks(row), lower, upper) for row in rdms])
    assert gtm(rdms, lower, upper) == pytest.approx(values, abs=1e-14, nan_ok=True)
    assert rgtm(rdms, lower, upper) == pytest.approx(ranks, abs=1e-14, nan_ok=True)
    assert rgtm(rdms[0], lower, upper) == pytest.approx(ranks[0], abs=1e-14, nan_ok=True)
    np.testing.assert_array_equal(rdms, before)


@pytest.mark.parametrize(("steepness", "centre"), [(10.0, 0.5), (3.0, 0.2)])
def test_the_sigmoid_equals_a_loop(rdms, steepness, centre):
    for row, found in zip(rdms, sigmoid(rdms, steepness, centre), strict=True):
        ranks = naive_ranks(row)
        x = (ranks - np.nanmin(ranks)) / (np.nanmax(ranks) - np.nanmin(ranks))
        assert found == pytest.approx(expit(steepness * (x - centre)), abs=1e-14, nan_ok=True)


def test_the_whole_range_leaves_the_rank_rdm_and_equal_levels_leave_a_step():
    d = np.array([0.3, 0.9, 0.1, 0.5, 0.7])
    assert rgtm(d, 0, 1) == pytest.approx([0.25, 1.0, 0.0, 0.5, 0.75])
    assert rgtm(d, 0.5, 0.5).tolist() == [0, 1, 0, 1, 1]
    assert gtm(d, 0.5, 0.5).tolist() == [0, 1, 0, 1, 1]
    assert gtm(d * 1e-300, 0.5, 0.5).tolist() == [0, 1, 0, 1, 1]
    assert gtm(d - 0.5, 0.5, 0.5).tolist() == [0, 1, 0, 1, 1]


def test_equal_entries_have_a_defined_answer():
    d = np.full((2, 6), 0.4)
    assert (gtm(d) == 1).all()
    assert (rgtm(d) == 1).all()
    assert (sigmoid(d, 5.0, 0.5) == 0.5).all()
    assert rgtm(np.array([3.0])).tolist() == [1.0]
    assert np.isnan(rgtm(np.full(3, np.nan))).all()


def test_ranks_are_blind_to_what_keeps_the_order():
    d = np.random.default_rng(0).random((3, 28))
    np.testing.assert_array_equal(rgtm(np.exp(5 * d)), rgtm(d))
    assert np.abs(gtm(np.exp(5 * d)) - gtm(d)).max() > 0.05


def test_numpy_gives_numpy_and_a_tensor_a_tensor_in_double():
    d = np.random.default_rng(1).random((2, 10)).astype(np.float32)
    for transform in (gtm, rgtm, sigmoid):
        made = transform(torch.as_tensor(d))
        assert isinstance(made, torch.Tensor)
        assert made.dtype == torch.float64
        assert transform(d) == pytest.approx(made.numpy(), abs=0)


def test_ranks_and_quantiles_of_many_rows(rdms):
    x = torch.as_tensor(rdms)
    assert mid_ranks(x).numpy() == pytest.approx(np.array([naive_ranks(row) for row in rdms]), abs=0, nan_ok=True)
    levels = np.linspace(0, 1, 23)
    expected = np.array([np.quantile(row[~np.isnan(row)], levels) for row in rdms])
    found = quantiles(x.reshape(2, 2, -1), torch.as_tensor(levels)).numpy().reshape(4, -1)
    np.testing.assert_array_equal(found, expected)


def test_every_pair_of_thresholds_is_of_one_family():
    named = {
        "local": (0.0, 0.3),
        "global": (0.7, 1.0),
        "geometry": (0.1, 0.9),
        "topology": (0.4, 0.6),
        "intermediate": (0.2, 0.7),
    }
    assert {name: family(*pair) for name, pair in named.items()} == {name: name for name in named}
    assert family(0.2 + 0.2, 0.2 + 0.2 + 0.2) == "topology"  # .6000000000000001
    for pair in grid(equal=True).tolist():
        assert sum(holds(*pair) for holds in FAMILIES.values()) == 1


def test_wrong_thresholds_are_refused():
    with pytest.raises(DataError, match=r"found thresholds \(0.8, 0.2\), expected 0 <= lower <= upper <= 1"):
        rgtm(np.ones(3), 0.8, 0.2)
    with pytest.raises(DataError, match=r"found thresholds \(-0.1, 0.2\)"):
        family(-0.1, 0.2)
    with pytest.raises(DataError, match=r"found RDMs of shape \(\), expected"):
        gtm(3.0)
