"""Haxby et al. (2001) at 25 mm, through the stages: twelve runs to estimates, masks to regions, and what they know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from scipy.signal import detrend

from isocortex.stages import fetch, record, region, stimuli
from isocortex.storage.lazy import open_recording
from isocortex.storage.tables import read_tree
from isocortex.study import Study

NAME, TR, RUNS = "haxby2001_25mm", 2.5, range(1, 13)
CATEGORIES = ["bottle", "cat", "chair", "face", "house", "scissors", "scrambledpix", "shoe"]


@pytest.fixture(scope="module")
def entry(repository: Path) -> dict[str, Any]:
    """The entry with its defaults, as jobs get it."""
    mapping = yaml.safe_load((repository / "config/studies/haxby.yaml").read_text(encoding="utf-8"))
    study = Study.from_mapping(mapping)
    return study.dataset_entry


@pytest.fixture(scope="module")
def recorded(mirror: Path, entry: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the stages up to `record` were run."""
    folder = tmp_path_factory.mktemp("haxby")
    root = folder / f"resources/{NAME}"
    manifests = {"manifests": {"common": str(root / "manifests/common.json")}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISOCORTEX_MIRROR", str(mirror))
        fetch.run({"output": manifests["manifests"]["common"], "options": {"name": NAME, "entry": entry}}, "cpu")
    common = {"name": NAME, "root": str(root)}
    options = {**common, "set": "categories", "entry": entry["stimuli"]["categories"]}
    stimuli.run({"inputs": manifests, "output": str(folder / "set.parquet"), "options": options}, "cpu")
    inputs = {**manifests, "stimuli": str(folder / "set.parquet")}
    options = {**common, "subject": "S1", "level": "patterns", "entry": entry["subjects"]["S1"]}
    record.run({"inputs": inputs, "output": str(folder / "S1.json"), "options": options}, "cpu")
    return folder


@pytest.fixture(scope="module")
def recording(recorded: Path) -> xr.Dataset:
    return open_recording(recorded / "S1.json").load()


def files(mirror: Path, run: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Voxels of the brain mask (volume, voxel) and events of a run, read by hand."""
    root = mirror / NAME
    image: Any = nibabel.load(root / f"func/run{run:02d}_bold.nii.gz")
    mask: Any = nibabel.load(root / "masks/25mm/brain.nii.gz")
    events = pd.read_csv(root / f"func/run{run:02d}_events.tsv", sep="\t")
    return image.get_fdata()[mask.get_fdata() > 0].T, events


def test_twelve_runs_of_eight_categories(recording: xr.Dataset, mirror: Path) -> None:
    assert dict(recording.sizes) == {"presentation": 96, "neuroid": 129}
    assert recording["run"].values.tolist() == np.repeat(RUNS, 8).tolist()
    shown = [name for run in RUNS for name in files(mirror, run)[1]["trial_type"]]
    assert recording["stimulus_id"].values.tolist() == shown
    assert sorted(set(shown)) == CATEGORIES
    assert recording["repeat"].values.tolist() == np.repeat(range(12), 8).tolist()
    assert recording.attrs["shape"] == "[6, 10, 10]"
    assert np.isfinite(recording["response"]).all()


def test_all_images_have_one_grid(mirror: Path) -> None:
    images: list[Any] = [nibabel.load(file) for file in sorted((mirror / NAME).rglob("*.nii.gz"))]
    assert len(images) == 19
    for image in images:
        assert image.shape[:3] == (6, 10, 10)
        np.testing.assert_allclose(image.affine, images[0].affine, atol=1e-6)


def test_regions_are_as_the_catalogue_says(recorded: Path, entry: dict[str, Any]) -> None:
    for name, listed in entry["regions"].items():
        options = {
            "region": name,
            "subjects": {"S1": {"set": "categories", "anywhere": [listed["where"]] if listed["where"] else []}},
            "min_reliability": None,
            "level": "patterns",
            "seed": 0,
        }
        inputs = {"recordings": {"S1": recorded / "S1.json"}, "stimuli": {"categories": recorded / "set.parquet"}, "splits": {}}
        output = str(recorded / f"{name}.nc")
        region.run({"inputs": inputs, "output": output, "options": options}, "cpu")
        found = read_tree(output)["S1"].to_dataset()
        assert dict(found.sizes) == {"stimulus": 8, "repeat": 12, "neuroid": listed["neuroids"]["S1"]}
    assert {name: listed["neuroids"]["S1"] for name, listed in entry["regions"].items()} == {
        "brain": 129,
        "gray": 28,
        "white": 34,
        "vt": 1,
        "hoc": 45,
    }


def test_estimates_are_those_of_block_means(recording: xr.Dataset, mirror: Path) -> None:
    means = []
    for run in RUNS:
        signals, events = files(mirror, run)
        seconds, flat = np.arange(len(signals)) * TR, detrend(signals, axis=0)
        blocks = zip(events["onset"] + 5, events["duration"], strict=True)
        means += [flat[(seconds >= start) & (seconds < start + length)].mean(axis=0) for start, length in blocks]
    found = recording["response"].values.astype(np.float64)
    agreement = [np.corrcoef(ours, theirs)[0, 1] for ours, theirs in zip(found.T, np.stack(means).T, strict=True)]
    assert np.median(agreement) > 0.85


def nearest_mean(patterns: np.ndarray, shown: np.ndarray, run: np.ndarray) -> float:
    """Part of the presentations of a left-out run whose nearest mean over the other runs is that of their category."""
    hits = []
    for held in np.unique(run):
        means = np.stack([patterns[(run != held) & (shown == name)].mean(axis=0) for name in CATEGORIES])
        for pattern, name in zip(patterns[run == held], shown[run == held], strict=True):
            hits.append(CATEGORIES[int(((means - pattern) ** 2).sum(axis=1).argmin())] == name)
    return float(np.mean(hits))


def test_the_brain_knows_more_than_chance(recording: xr.Dataset) -> None:
    run, shown = recording["run"].values, recording["stimulus_id"].values
    centred = recording["response"].values.astype(np.float64)
    for one in RUNS:
        centred[run == one] -= centred[run == one].mean(axis=0)
    patterns = centred / centred.std(axis=0)
    assert nearest_mean(patterns, shown, run) > 0.18  # chance is .125
    rng = np.random.default_rng(0)
    shuffled = [np.concatenate([rng.permutation(shown[run == one]) for one in RUNS]) for _ in range(20)]
    assert np.mean([nearest_mean(patterns, labels, run) for labels in shuffled]) < 0.16
