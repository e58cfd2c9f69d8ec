"""Kernel alignment beside Kornblith's, stir's, simtorch's and platonic-rep's, GULP beside resi, RSA beside brainmodel_utils."""

import json

import numpy as np
import pytest
import torch

from isocortex.similarity.cka import cka, gaussian_kernel, hsic
from isocortex.similarity.deconfounded import deconfounded_cka
from isocortex.similarity.deconfounded.residual import residual
from isocortex.similarity.gulp import gulp
from isocortex.similarity.noise_corrected import Halved, summaries
from isocortex.similarity.rdm import rdm, to_square
from isocortex.similarity.summaries import compare_systems


@pytest.fixture
def load(oracles):
    index = json.loads((oracles / "metrics" / "index.json").read_text())

    def read(name):
        with np.load(oracles / "metrics" / f"{name}.npz") as file:
            return dict(file), {"rel": index[name]["rtol"], "abs": index[name]["atol"]}

    return read


@pytest.mark.parametrize("name", ["cka_a", "cka_wide"])
@pytest.mark.parametrize(("estimator", "suffix"), [("biased", ""), ("debiased", "_debiased")], ids=["biased", "debiased"])
def test_alignment_of_kornblith(load, name, estimator, suffix):
    data, close = load(name)
    x, y = data["in_X"], data["in_Y"]
    theirs = float(data[f"out_cka_linear{suffix}"])
    assert cka(x, y, estimator=estimator) == pytest.approx(theirs, **close)
    assert cka(torch.as_tensor(x), torch.as_tensor(y), estimator=estimator) == pytest.approx(theirs, **close)
    for tenths in (5, 10, 20):
        found = cka(x, y, kernel="rbf", estimator=estimator, bandwidth=tenths / 10)
        assert found == pytest.approx(float(data[f"out_cka_rbf_{tenths}{suffix}"]), **close)


@pytest.mark.parametrize(("letter", "batch"), [("a", 32), ("b", 24)])
def test_batches_of_stir(load, letter, batch):
    data, close = load(f"cka_minibatch_{letter}")
    assert cka(data["in_X"], data["in_Y"], batch=batch) == pytest.approx(float(data["out_cka"].item()), **close)


@pytest.mark.parametrize("letter", ["a", "b"])
def test_deconfounded_alignment_of_simtorch(load, letter):
    data, close = load(f"dcka_{letter}")
    x, y, confounder = (data[f"in_{part}"] for part in ("X", "Y", "confounder"))
    assert deconfounded_cka(x, y, confounder, "signed") == pytest.approx(float(data["out_dcka"]), **close)
    assert deconfounded_cka(x, y, confounder, "clipped") == pytest.approx(float(data["out_dcka_psd"]), **close)
    vectors = []
    for patterns in (x, y, confounder):
        moved = torch.as_tensor(patterns - patterns.mean(0))
        vectors.append((moved @ moved.T).reshape(-1))
    for vector, side in zip(vectors[:2], ("x", "y"), strict=True):
        left = residual(vector, vectors[2:], intercept=True)
        explained = 1 - float(left.square().sum() / (vector - vector.mean()).square().sum())
        assert explained == pytest.approx(float(data[f"out_pve_{side}"]), **close)


@pytest.mark.parametrize("name", ["match_a", "match_rect"])
@pytest.mark.parametrize(("ridge", "key"), [(0.0, "0"), (0.1, "01"), (1.0, "10")], ids=["none", "tenth", "one"])
def test_gulp_of_resi(load, name, ridge, key):
    data, close = load(name)
    assert gulp(data["in_X"], data["in_Y"], ridge) == pytest.approx(float(data[f"out_gulp_{key}"]), **close)


@pytest.mark.parametrize("letter", ["a", "b"])
def test_alignment_of_platonic_rep(load, letter):
    """Their denominators carry 1e-6, within the tolerance; their Gaussian kernel has a width of 1, ours the median's."""
    data, close = load(f"platonic_{letter}")
    x, y = data["in_X"], data["in_Y"]
    assert cka(x, y, estimator="biased") == pytest.approx(float(data["out_cka"]), **close)
    assert cka(x, y) == pytest.approx(float(data["out_unbiased_cka"]), **close)
    k, l_ = (gaussian_kernel(z @ z.T, scale=1.0) for z in (x, y))
    found = hsic(k, l_, "biased") / np.sqrt(hsic(k, k, "biased") * hsic(l_, l_, "biased"))
    assert found == pytest.approx(float(data["out_cka_rbf_1"]), **close)


def test_noise_corrected_rsa_of_brainmodel_utils(oracles):
    index = {entry["name"]: entry for entry in json.loads((oracles / "encoders" / "index.json").read_text())["oracles"]}
    tolerance = index["noise_corrected_rsa_a"]["tolerance"]
    close = {"rel": tolerance["rtol"], "abs": tolerance["atol"]}
    with np.load(oracles / "encoders" / "noise_corrected_rsa_a.npz") as file:
        data = dict(file)
    method = summaries({})
    model = to_square(torch.as_tensor(rdm(data["in_model"])))
    for k, order in enumerate(data["in_perms"]):
        source, target = (_halved(data[f"in_{name}"], order) for name in ("source", "target"))
        assert compare_systems(method, source, target) == pytest.approx(data["exp_corrected"][k], **close)
        assert compare_systems(method, model, target) == pytest.approx(data["exp_corrected_model"][k], **close)
        assert compare_systems(method, target, model) == pytest.approx(data["exp_corrected_model"][k], **close)


def _halved(trials, order):
    """RDMs of trials (R, n, p) and of one pair of halves of them."""
    parts = [trials, trials[order[: len(order) // 2]], trials[order[len(order) // 2 :]]]
    squares = [to_square(torch.as_tensor(rdm(part.mean(0)))) for part in parts]
    return Halved(squares[0], torch.stack(squares[1:])[None])
