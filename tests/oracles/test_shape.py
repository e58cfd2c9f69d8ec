"""Shape metrics beside netrep, transport beside POT, and the moment estimator beside its authors' code."""

import json

import numpy as np
import pytest
import torch

from isocortex.similarity.shape import (
    Alignment,
    convolutional_distance,
    eigenmoments,
    factor,
    factor_distances,
    factor_from_gram,
    shape_distance,
    shape_similarity,
    shift_distances,
    similarity_from_covariance,
    soft_matching,
)


@pytest.fixture
def load(oracles):
    index = json.loads((oracles / "metrics" / "index.json").read_text())

    def read(name):
        with np.load(oracles / "metrics" / f"{name}.npz") as file:
            return dict(file), {"rel": index[name]["rtol"], "abs": index[name]["atol"]}

    return read


LINEAR = [("shape_linear_a", alpha) for alpha in (0, 50, 100)] + [("shape_linear_pad", alpha) for alpha in (25, 100)]


def excess(x, width, alpha):
    """netrep rescales after padding, and counts each silent unit as λ = 1e-7 divided out: its scale over ours."""
    values = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    silent = np.full(width - x.shape[1], 1e-7)
    scaled = [np.sum(v * (alpha + (1 - alpha) / np.sqrt(v)) ** 2) for v in (values, np.r_[values, silent])]
    return np.sqrt(scaled[0] / scaled[1])


@pytest.mark.parametrize(("name", "alpha"), LINEAR)
def test_linear_metrics_of_netrep(load, name, alpha):
    data, close = load(name)
    x, y = data["in_X"], data["in_Y"]
    theirs = {kind: float(data[f"out_lin_a{alpha}_{kind}"]) for kind in ("angular", "euclidean")}
    share = alpha / 100
    assert shape_distance(x, y, share) == pytest.approx(theirs["angular"], **close)
    assert shape_distance(torch.as_tensor(x), torch.as_tensor(y), share) == pytest.approx(theirs["angular"], **close)
    width = max(x.shape[1], y.shape[1])
    factors = [factor(z, share) for z in (x, y)]
    padded = [excess(z, width, share) * f for z, f in zip((x, y), factors, strict=True)]
    assert float(factor_distances(padded[:1], padded[1:], "euclidean")) == pytest.approx(theirs["euclidean"], **close)
    by_gram = [factor_from_gram(z @ z.T, share) for z in (x, y)]
    assert float(factor_distances(by_gram[:1], by_gram[1:])) == pytest.approx(theirs["angular"], **close)
    if x.shape[1] == y.shape[1] or share == 1:
        assert shape_distance(x, y, share, "euclidean") == pytest.approx(theirs["euclidean"], **close)


@pytest.mark.parametrize(("name", "alpha"), LINEAR)
def test_alignments_of_netrep_on_other_stimuli(load, name, alpha):
    data, close = load(name)
    x, y, x_test, y_test = (data[f"in_{part}"] for part in ("X", "Y", "X_test", "Y_test"))
    share = alpha / 100
    found = Alignment.fit(x, y, share).score(x_test, y_test)
    assert found == pytest.approx(float(data[f"out_lin_a{alpha}_angular_test"]), **close)
    width = max(x.shape[1], y.shape[1])
    scales = [excess(z, width, share) for z in (x, y)]
    own, other, shared = Alignment.fit(x, y, share).products(x_test, y_test).numpy()
    found = np.sqrt(scales[0] ** 2 * own + scales[1] ** 2 * other - 2 * scales[0] * scales[1] * shared)
    assert found == pytest.approx(float(data[f"out_lin_a{alpha}_euclidean_test"]), **close)
    if x.shape[1] == y.shape[1] or share == 1:
        found = Alignment.fit(x, y, share, "euclidean").score(x_test, y_test)
        assert found == pytest.approx(float(data[f"out_lin_a{alpha}_euclidean_test"]), **close)


@pytest.mark.parametrize("name", ["shape_linear_a", "shape_linear_pad"])
def test_metrics_without_centring_and_of_permutations_of_netrep(load, name):
    data, close = load(name)
    x, y = data["in_X"], data["in_Y"]
    assert shape_distance(x, y, centre=False) == pytest.approx(float(data["out_lin_a100_nocenter_angular"]), **close)
    for kind in ("angular", "euclidean"):
        theirs = float(data[f"out_perm_{kind}"])
        assert shape_distance(x, y, kind=kind, group="permutation") == pytest.approx(theirs, **close)


@pytest.mark.parametrize("name", ["shape_linear_a", "shape_linear_pad"])
def test_whitened_patterns_of_netrep(load, name):
    """Their whitened patterns have the Gram matrix of our factor."""
    data, close = load(name)
    theirs = data["out_whiten_a50"]
    ours = factor(data["in_X"], 0.5)
    assert (ours @ ours.T).numpy() == pytest.approx(theirs @ theirs.T, **close)


@pytest.mark.parametrize("letter", ["a", "b"])
def test_circular_shifts_of_netrep(load, letter):
    data, close = load(f"shape_conv_{letter}")
    x, y, theirs = data["in_X"], data["in_Y"], data["out_dists"]
    assert shift_distances(x, y) == pytest.approx(theirs, **close)
    assert convolutional_distance(torch.as_tensor(x), torch.as_tensor(y)) == pytest.approx(theirs.min(), **close)


@pytest.mark.parametrize("name", ["softmatch_a", "softmatch_rect"])
def test_soft_matchings_of_pot(load, name):
    data, close = load(name)
    found = soft_matching(data["in_X"], data["in_Y"])
    assert found.correlation == pytest.approx(float(data["out_soft_match_corr"]), **close)
    assert found.distance == pytest.approx(float(data["out_soft_match_dist_centered"]), **close)
    scaled = soft_matching(data["in_X"], data["in_Y"], unit_norm=True)
    assert scaled.distance == pytest.approx(float(data["out_soft_match_dist_unitcols"]), **close)
    assert scaled.correlation == found.correlation


@pytest.mark.parametrize(("letter", "fractions"), [("a", (100, 12)), ("b", (100, 11))])
def test_moment_estimates_of_the_authors(load, letter, fractions):
    data, close = load(f"limited_moment_{letter}")
    x, y = data["in_X"], data["in_Y"]
    theirs = data["out_eigmoms"][1:]
    assert eigenmoments(x @ x.T, y @ y.T, len(theirs)) == pytest.approx(theirs, **close)
    assert shape_similarity(x, y, centre=False) == pytest.approx(float(data["out_plugin"]), **close)
    powers = float(data["in_s1"]) ** (2.0 * np.arange(1, len(theirs) + 1))
    covariance = data["in_eigmom_cov"][1:, 1:] * np.outer(powers, powers)
    for fraction in fractions:
        found = similarity_from_covariance(x, y, covariance, bias_fraction=fraction / 100, centre=False)
        assert found.estimate == pytest.approx(float(data[f"out_est_bf{fraction}"]), **close)
        assert found.sd == pytest.approx(float(data[f"out_sd_bf{fraction}"]), **close)
        assert found.bias_bound == pytest.approx(float(data[f"out_biasbound_bf{fraction}"]), **close)
        assert found.plug_in == pytest.approx(float(data["out_plugin"]), **close)


@pytest.mark.parametrize("letter", ["a", "b"])
def test_moments_of_two_noisy_repeats_of_the_authors(load, letter):
    data, close = load(f"limited_signal_{letter}")
    x, y = data["in_X"], data["in_Y"]
    theirs = data["out_eigmoms"][1:]
    pairs = [(x[0], y[1]), (x[1], y[0])]
    grams = [np.stack([pair[k] @ pair[k].T for pair in pairs]) for k in range(2)]
    assert eigenmoments(*grams, len(theirs)).mean(0) == pytest.approx(theirs, **close)
    assert shape_similarity(x, y, centre=False) == pytest.approx(float(data["out_plugin"]), **close)
    # An estimate from one moment shows its value, and the denominator.
    found = similarity_from_covariance(x, y, np.eye(1), centre=False)
    assert found.estimate == pytest.approx(
        found.coefficients[0] * theirs[0] / found.scale / float(data["out_denom"]), rel=close["rel"]
    )
