"""Confounders that were planted: what is left of noise, of what only they share, and of what is shared besides."""

import numpy as np
import pytest
import torch

from isocortex.inference import nulls
from isocortex.similarity.cka import cka
from isocortex.similarity.deconfounded import Confounded, deconfounded_cka, deconfounded_rsa
from isocortex.similarity.deconfounded.rows import kernel_summaries
from isocortex.similarity.rdm import rdm

COMPARE = ["pearson", "spearman"]


@pytest.mark.parametrize("p", [10, 1000])
def test_noise_has_no_debiased_alignment_whatever_is_taken_out(p):
    """The authors' form has noisy diagonals in its residuals, which two systems have in common and permutations take apart."""
    rng = np.random.default_rng(p)
    found, null = {how: [] for how in ("debiased", "signed")}, {how: [] for how in ("debiased", "signed")}
    for _ in range(20):
        x, y = rng.normal(size=(2, 50, p))
        c = rng.normal(size=(50, 5))
        order = rng.permutation(50)
        for how, values in found.items():
            method, every = kernel_summaries({"residual": how}), np.arange(50)
            one, other = (method.of(Confounded(torch.as_tensor(z), (torch.as_tensor(c),)), every) for z in (x, y))
            values.append(method.compare([one], [other])[0, 0])
            null[how].append(method.compare([method.permuted(one, order)], [other])[0, 0])
    assert abs(np.mean(found["debiased"])) < 0.03
    assert abs(np.mean(null["debiased"])) < 0.03
    if p == 1000:
        above = (np.mean(found["signed"]) - np.mean(null["signed"])) / (1 - np.mean(null["signed"]))
        assert above > 0.5


def worlds(shared, p, seed, n=100):
    """Two systems that share a confounder, and `shared` axes besides; by their kernels (p is large) these are additive."""
    rng = np.random.default_rng(seed)
    c, s, u, v = rng.normal(size=(n, 3)), *rng.normal(size=(3, n, 4))

    def mixed(own):
        parts = [z @ rng.normal(size=(z.shape[1], p)) / np.sqrt(p) for z in (1.5 * c, shared * s, own)]
        return sum(parts) + rng.normal(size=(n, p)) / np.sqrt(p)

    return mixed(u), mixed(v), c


def test_a_planted_confounder_is_removed_and_the_rest_is_left():
    plain, alone, rest = [], [], []
    for seed in range(10):
        x, y, c = worlds(0.0, 500, seed)
        plain.append(cka(x, y))
        alone.append(deconfounded_cka(x, y, c))
        x, y, c = worlds(1.0, 500, seed)
        rest.append(deconfounded_cka(x, y, c))
    assert np.mean(plain) > 0.5
    assert abs(np.mean(alone)) < 0.03
    # Four axes of eight are shared: |Σ_xy|² / (|Σ_x| |Σ_y|) = 4 / 8, less the noise of 500 units.
    assert np.mean(rest) == pytest.approx(4 / (8 + 16 / 500 + 1 / 500), abs=0.05)


def test_a_planted_confounder_is_removed_from_rdms():
    alone, rest, plain = [], [], []
    for seed in range(8):
        x, y, c = worlds(0.0, 500, seed, 60)
        plain.append(np.corrcoef(rdm(x, "euclidean"), rdm(y, "euclidean"))[0, 1])
        alone.append([deconfounded_rsa(x, y, c, "euclidean", compare) for compare in COMPARE])
        x, y, c = worlds(1.0, 500, seed, 60)
        rest.append([deconfounded_rsa(x, y, c, "euclidean", compare) for compare in COMPARE])
    assert np.mean(plain) > 0.5
    assert np.abs(np.mean(alone, 0)).max() < 0.06
    assert np.mean(rest, 0).min() > 0.35


def test_the_ceiling_is_what_a_right_model_without_noise_scores():
    rng = np.random.default_rng(0)
    method, every = kernel_summaries({}), np.arange(80)
    right, ceiling = [], []
    for _ in range(30):
        c = rng.normal(size=(80, 3))
        signal = rng.normal(size=(80, 4)) @ rng.normal(size=(4, 100)) + c @ rng.normal(size=(3, 100))
        halves = signal + 6.0 * rng.normal(size=(2, 80, 100))
        given = [Confounded(torch.as_tensor(z), (torch.as_tensor(c),)) for z in (halves.mean(0), *halves, signal)]
        whole, first, second, model = (method.of(g, every) for g in given)
        right.append(method.compare([model], [whole])[0, 0])
        ceiling.append(method.noiseless(whole, first, second))
    assert np.mean(ceiling) == pytest.approx(np.mean(right), abs=0.02)
    assert np.mean(right) < 0.95
    assert kernel_summaries({"residual": "signed"}).noiseless is None


def test_false_positives_of_permuted_residuals():
    """Of systems that share the confounder and no more, one in twenty is beyond the 95 % quantile of its null."""
    seen = []
    for seed in range(200):
        x, y, c = worlds(0.0, 300, seed, 30)
        method, every = kernel_summaries({}), np.arange(30)
        one, other = (method.of(Confounded(torch.as_tensor(z), (torch.as_tensor(c),)), every) for z in (x, y))
        orders = nulls.permutations(30, 99, seed)
        null = method.compare([method.permuted(one, o) for o in orders], [other])[:, 0]
        seen.append((1 + (null >= method.compare([one], [other])[0, 0]).sum()) / 100 <= 0.05)
    # Two and a half standard errors of 200 draws.
    assert np.mean(seen) == pytest.approx(0.05, abs=0.04)
