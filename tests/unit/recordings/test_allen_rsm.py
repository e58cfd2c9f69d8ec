"""Similarity matrices of mouse visual cortex: converted, aligned with the scenes, without the blank."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from isocortex.recordings.adapters.rdm import load
from isocortex.recordings.regions import EmptyRegionError, Selection, build_rdm
from isocortex.recordings.stimuli import make_table
from isocortex.study.adapters import ADAPTERS
from isocortex.study.model import load_study

NAME = "allen_visual_rsm"


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.asarray(spearmanr(one, other))[0])


@pytest.fixture(scope="module")
def found(mirror, catalogued) -> xr.Dataset:
    entry = catalogued(NAME)
    table = make_table(entry["stimuli"]["scenes"], mirror / NAME, "scenes")
    return load(ADAPTERS["rdm"](**entry["subjects"]["mice"]).model_dump(), mirror / NAME, table)


def test_every_region_is_one_less_its_similarity(found, mirror):
    assert found["rdm"].shape == (21, 118, 118)
    with np.load(mirror / NAME / "similarity_by_area_layer.npz") as arrays:
        assert sorted(found["region"].values) == sorted(arrays)
        for name, rdm in zip(found["region"].values, found["rdm"].to_numpy(), strict=True):
            np.testing.assert_allclose(rdm, 1 - arrays[name][:118, :118], atol=1e-12)
    assert set(found["note"].values) == {"made from similarities: 1 - r"}
    told = dict(zip(found["region"].values, found["reliability"].values, strict=True))
    assert told["VISl_layer23"] == pytest.approx(0.9305, abs=1e-4)
    assert told["VISrl_layer5"] == pytest.approx(0.1271, abs=1e-4)


def test_rows_are_the_scenes_in_their_order(found, mirror):
    with np.load(mirror / NAME / "stimuli_118_31x31.npz") as arrays:
        pixels = 1 - np.corrcoef(arrays["images"].reshape(118, -1))
    with np.load(mirror / NAME / "similarity_by_area_layer.npz") as arrays:
        later = {name: 1 - arrays[name][1:, 1:] for name in arrays}
    pairs = np.triu_indices(118, 1)
    for name, rdm, known in zip(found["region"].values, found["rdm"].to_numpy(), found["reliability"].values, strict=True):
        if known > 0.7:
            assert agreement(rdm[pairs], pixels[pairs]) > 0.05
            assert abs(agreement(later[name][pairs], pixels[pairs])) < 0.021


def test_a_threshold_keeps_what_is_reliable(found):
    ids = found["stimulus_id"].values.tolist()
    assert build_rdm(found, Selection("VISp_layer4", "mice", "scenes", ids, [], min_reliability=0.5)).attrs["reliability"] > 0.9
    with pytest.raises(EmptyRegionError, match=r"reliability is 0.127, expected at least 0.5"):
        build_rdm(found, Selection("VISrl_layer5", "mice", "scenes", ids, [], min_reliability=0.5))


def test_the_study_asks_only_reliable_regions(found, repository):
    study = load_study(repository / "config/studies/allen_rsm.yaml", repository / "config/catalogue")
    told = dict(zip(found["region"].values, found["reliability"].values, strict=True))
    assert set(study.regions) == {name for name, known in told.items() if known >= 0.5}
    assert {plan.min_reliability for plan in study.regions.values()} == {0.5}
