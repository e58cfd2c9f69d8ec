from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isocortex.errors import StudyError
from isocortex.features.model import Context
from isocortex.features.sources import SOURCES, build
from isocortex.study.options import SOURCES as NAMES


def features(entry: dict, image: np.ndarray) -> np.ndarray:
    (batch,) = build({"source": "pixels", **entry}, Context(Path())).features([image], ["pixels"])
    return batch["pixels"]["activation"][0]


def test_an_image_of_the_right_size_stays_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_allclose(features({"size": 8}, image), image.transpose(2, 0, 1).ravel() / 255, rtol=1e-6)


def test_grey_is_luminance():
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        features({"size": 4, "color": False}, image), (image @ [0.299, 0.587, 0.114]).ravel() / 255, rtol=1e-5
    )


def test_making_small_averages_instead_of_picking():
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[:, :, None].repeat(3, 2)
    assert np.abs(features({"size": 8}, board) - 0.5).max() < 0.05


def test_every_source_of_a_study_is_built_by_one_function():
    assert set(SOURCES) == set(NAMES)


def test_an_unknown_source_and_weights_where_there_are_none():
    with pytest.raises(StudyError, match=r"models\.m\.source: found 'pixel', expected one of callable, gabor"):
        build({"source": "pixel"}, Context(Path(), model="m"))
    for source in ("gabor", "pixels", "precomputed", "labels"):
        with pytest.raises(StudyError, match=f"a {source} model has no weights to make random"):
            build({"source": source, "weights": "random", "seed": 0}, Context(Path(), model="twin"))
