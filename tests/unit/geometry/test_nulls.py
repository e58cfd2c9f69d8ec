"""What nulls keep and what they take, and what a row of the table makes of its data."""

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.geometry import GEOMETRY
from isocortex.geometry.nulls import NULLS, matched_spectrum_gaussian, permute_labels, shuffle_units
from isocortex.study.options import Geometry


def test_shuffled_units_keep_their_responses_and_their_repeats_together():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 4))
    shuffled = shuffle_units(x, rng)
    assert np.array_equal(np.sort(shuffled, axis=0), np.sort(x, axis=0))
    assert len({tuple(np.argsort(unit)) for unit in shuffled.T}) == 4
    trials = np.stack([x, x + 100], axis=1)
    both = shuffle_units(trials, rng)
    assert both[:, 1] == pytest.approx(both[:, 0] + 100)
    assert not np.array_equal(both[:, 0], x)
    assert isinstance(shuffle_units(torch.as_tensor(x), rng), torch.Tensor)


@pytest.mark.parametrize("shape", [(30, 6), (12, 40), (10, 9)])
def test_gaussian_patterns_have_the_mean_and_covariance_and_no_more(shape):
    rng = np.random.default_rng(1)
    x = rng.gamma(0.3, size=shape) @ np.diag(np.arange(1, shape[1] + 1)) + 7
    drawn = matched_spectrum_gaussian(x, rng)
    assert drawn.mean(axis=0) == pytest.approx(x.mean(axis=0))
    assert np.cov(drawn.T) == pytest.approx(np.cov(x.T))
    assert np.abs(drawn - x).max() > 1
    assert isinstance(matched_spectrum_gaussian(torch.as_tensor(x), rng), torch.Tensor)


def test_gaussian_patterns_are_gaussian():
    """A fourth moment of 3, where that of what they are drawn for is 1."""
    rng = np.random.default_rng(2)
    x = rng.choice([-1.0, 1.0], size=(400, 3))
    drawn = matched_spectrum_gaussian(x, rng)
    z = (drawn - drawn.mean(axis=0)) / drawn.std(axis=0)
    assert (z**4).mean() == pytest.approx(3, abs=0.35)


def test_every_row_has_nulls_of_the_table_and_labels_keep_their_counts():
    rng = np.random.default_rng(3)
    labels = np.repeat(list("abc"), [2, 3, 5])
    assert sorted(permute_labels(labels, rng)) == sorted(labels)
    for row in GEOMETRY.values():
        assert row.null in NULLS
        assert row.layer_null in {"", "permute_labels", "matched_spectrum_gaussian"}
        assert (row.null == "permute_labels") == (row.needs == "labels")
        assert row.of_layers == (row.needs != "trials")
    data, drawn = NULLS["permute_labels"](labels, labels, rng)
    assert data is labels
    assert list(drawn) != list(labels)


def test_defaults_of_descriptors_are_those_of_a_study():
    for name, row in GEOMETRY.items():
        asked = {"target": "category"} if row.needs == "labels" else {}
        given = Geometry.model_validate({name: asked}).model_dump(exclude_none=True)[name]
        assert {key: value for key, value in given.items() if key != "target"} == dict(row.options)
        assert ("target" in given) == (row.needs == "labels")


def test_options_reach_the_function_and_target_does_not():
    x = np.random.default_rng(4).normal(size=(30, 4))
    labels = np.arange(30) % 4
    aligned = GEOMETRY["label_alignment"]
    assert aligned.evaluate(x, labels, {"target": "category", "estimator": "biased"}) > aligned.evaluate(x, labels)
    assert GEOMETRY["persistence_h1"].evaluate(x, options={"max_stimuli": 15}, seed=1) != GEOMETRY["persistence_h1"].evaluate(
        x, options={"max_stimuli": 15}, seed=2
    )
    with pytest.raises(DataError, match="ccgp: found no labels for 30 stimuli, expected one each; set target"):
        GEOMETRY["ccgp"].evaluate(x)
    with pytest.raises(DataError, match="ccgp: found 4 labels for 30 stimuli"):
        GEOMETRY["ccgp"].evaluate_subsets(x, np.ones((1, 30)), labels[:4])


def test_a_subset_without_a_class_has_no_value():
    x = np.random.default_rng(5).normal(size=(12, 4))
    labels = np.arange(12) % 4
    masks = np.ones((2, 12))
    masks[1, labels == 3] = 0
    values = GEOMETRY["parallelism"].evaluate_subsets(x, masks, labels)
    assert values[0] == pytest.approx(GEOMETRY["parallelism"].evaluate(x, labels))
    assert np.isnan(values[1])
    assert isinstance(GEOMETRY["parallelism"].evaluate_subsets(torch.as_tensor(x), masks, labels), torch.Tensor)
