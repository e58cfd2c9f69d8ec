"""Every declared property of the descriptors holds, and their nulls vary and are departed from as declared."""

import numpy as np
import pytest
import torch

from isocortex.geometry import GEOMETRY
from isocortex.geometry.nulls import NULLS

ROWS = list(GEOMETRY.values())
TRANSFORMS = {
    "rotation": lambda x, rng: x @ np.linalg.qr(rng.normal(size=(x.shape[-1], x.shape[-1])))[0],
    "permutation": lambda x, rng: x[..., rng.permutation(x.shape[-1])],
    "isotropic_scale": lambda x, rng: 3.7 * x,
    "translation": lambda x, rng: x + rng.normal(size=x.shape[-1]),
    "stimulus_order": lambda x, rng: x[rng.permutation(len(x))],
    "pattern_scale": lambda x, rng: x * rng.uniform(0.2, 5, size=(len(x),) + (1,) * (x.ndim - 1)),
    "affine": lambda x, rng: x @ rng.normal(size=(x.shape[-1], x.shape[-1])),
}
N = 40


def low_rank(rng):
    return rng.normal(size=(N, 3)) @ rng.normal(size=(3, 10)) + 0.3 * rng.normal(size=(N, 10)), None


def trials(rng):
    x, _ = low_rank(rng)
    return x[:, None, :] + 0.5 * rng.normal(size=(N, 3, 10)), None


def ring(rng, n=90):
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) @ rng.normal(size=(2, 10)) + 0.002 * rng.normal(size=(n, 10)), None


def clusters(rng):
    member = np.arange(N) % 4
    return (rng.normal(size=(4, 10)) * 2)[member] + 0.4 * rng.normal(size=(N, 10)), None


def classes(rng, noise=0.7):
    """Classes at the corners of a cube, in noise."""
    member = np.arange(N) % 8
    corners = np.stack([member // 4, member // 2 % 2, member % 2], axis=1) @ (3 * rng.normal(size=(3, 10)))
    return corners + noise * rng.normal(size=(N, 10)), np.array(list("abcdefgh"))[member]


def loose_classes(rng):
    """So noisy that no value is at its bound."""
    return classes(rng, noise=3.0)


PLANTED = {
    "participation_ratio_cv": trials,
    "two_nn": ring,
    "local_rank": ring,
    "persistence_h1": ring,
    "diffusion_entropy": clusters,
    "persistence_h0": clusters,
}


def planted(row, of_labels=classes):
    rng = np.random.default_rng(0)
    data, labels = (of_labels if row.needs == "labels" else PLANTED.get(row.name, low_rank))(rng)
    return data, labels, rng


def reordered(name, data, labels, rng):
    """Labels move with their stimuli."""
    if name != "stimulus_order":
        return TRANSFORMS[name](data, rng), labels
    order = rng.permutation(len(data))
    return data[order], None if labels is None else labels[order]


@pytest.mark.parametrize("row", ROWS, ids=lambda d: d.name)
@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_declared_invariances_hold_and_undeclared_ones_fail(row, name):
    data, labels, rng = planted(row, loose_classes)
    change = abs(row.evaluate(*reordered(name, data, labels, rng)) - row.evaluate(data, labels))
    assert change < 1e-9 if name in row.invariances else change > 1e-3


@pytest.mark.parametrize("row", ROWS, ids=lambda d: d.name)
def test_bounds_subsets_and_tensors(row):
    data, labels, rng = planted(row)
    value = row.evaluate(data, labels)
    assert row.range[0] <= value <= row.range[1]
    assert row.evaluate(torch.as_tensor(data), labels) == pytest.approx(value)
    masks = np.ones((2, len(data)))
    masks[1, rng.permutation(len(data))[:8]] = 0
    own = row.evaluate(data[masks[1] > 0], None if labels is None else labels[masks[1] > 0])
    assert row.evaluate_subsets(data, masks, labels) == pytest.approx([value, own])


@pytest.mark.parametrize("row", ROWS, ids=lambda d: d.name)
def test_the_null_varies_and_structure_departs_as_declared(row):
    data, labels, rng = planted(row)
    null = np.array([row.evaluate(*NULLS[row.null](data, labels, rng)) for _ in range(39)])
    assert null.std() > 1e-3
    value = row.evaluate(data, labels)
    assert value < null.min() if row.lower_means_structure else value > null.max()


@pytest.mark.parametrize("row", [row for row in ROWS if row.layer_null], ids=lambda d: d.name)
def test_the_null_of_layers_does_not_know_their_axes(row):
    """A layer comes as rotated coordinates: its value is that of its units, and its null varies."""
    data, labels, rng = planted(row)
    left, values, _ = np.linalg.svd(data - data.mean(axis=0), full_matrices=False)
    turned = left * values
    assert row.evaluate(turned, labels) == pytest.approx(row.evaluate(data, labels))
    null = np.array([row.evaluate(*NULLS[row.layer_null](turned, labels, rng)) for _ in range(9)])
    assert null.std() > 1e-3


@pytest.mark.parametrize("row", [row for row in ROWS if not row.layer_null and row.of_layers], ids=lambda d: d.name)
def test_rows_without_a_null_of_layers_do_not_tell_a_gaussian_of_their_spectrum(row):
    data, _, rng = planted(row)
    null = [row.evaluate(NULLS["matched_spectrum_gaussian"](data, None, rng)[0]) for _ in range(9)]
    assert np.std(null) < 0.05 * row.evaluate(data)
