"""A searchlight from the user's own voxels to images and page, by Snakemake."""

from __future__ import annotations

import json
from typing import Any

import nibabel
import numpy as np
import pytest
import yaml

from isocortex.storage.tables import read_netcdf

N = 14


@pytest.fixture
def own(workspace: Any) -> Any:
    """A recording of a block of voxels, some of which follow the model `mine`, an array beside them."""
    rng = np.random.default_rng(0)
    index = np.argwhere(np.ones((5, 4, 3)))
    affine = np.array([[-2.0, 0, 0, 40], [0, 2, 0, -60], [0, 0, 2, -10], [0, 0, 0, 1]])
    points = index @ affine[:3, :3].T + affine[:3, 3]
    features = rng.normal(size=(N, 5))
    responses = 2 * features @ rng.normal(size=(5, len(points))) * (index[:, 0] < 2) + rng.normal(size=(N, len(points)))
    arrays = {"r": responses, "roi": ["A"] * len(points), "affine": affine, "shape": np.array([9, 8, 7])}
    arrays |= {axis: points[:, k] for k, axis in enumerate("xyz")} | {"mine": features, "id": [f"s{k:02d}" for k in range(N)]}
    np.savez(workspace.folder / "brain.npz", **arrays)
    subject = {"adapter": "npz", "stimuli": "all", "path": "brain.npz", "key": "r", "dims": ["stimulus", "neuroid"]}
    subject |= {name: {"key": name} for name in ("affine", "shape")}
    subject["neuroid"] = {name: {"key": name} for name in ("x", "y", "z", "roi")}
    study: dict[str, Any] = {
        "study": "small",
        "dataset": {
            "name": "own",
            "root": str(workspace.folder),
            "files": {"brain.npz": None},
            "stimuli": {"all": {"n": N, "ids": {"path": "brain.npz", "key": "id"}}},
            "subjects": {"S1": subject},
            "regions": {"A": {"where": {"roi": ["A"]}, "neuroids": {"S1": len(points)}}},
        },
        "models": {"mine": {"source": "precomputed", "path": "brain.npz", "key": "mine", "ids": "id"}},
        "splits": {"test": 0.3, "folds": 3},
        "encode": {},
        "geometry": [],
        "inference": {"draws": 100, "permutations": 99},
        "searchlight": {"rsa": {"radius": 2.0, "min_neuroids": 4, "permutations": 99}},
    }
    (workspace.folder / "study.yaml").write_text(yaml.safe_dump(study))
    return workspace


def test_from_voxels_to_images_and_page(own: Any) -> None:
    done = own.snakemake("--", "region_A")
    assert done.returncode == 0, done.stderr[-3000:]
    region = own.folder / "results/small/A"
    cell = read_netcdf(region / "mine/searchlight.nc")
    [said] = json.loads(cell.attrs["maps"])
    assert 5 < said["n_significant"] < said["n_centres"] / 2
    image = nibabel.load(region / "mine" / said["image"])
    assert image.shape == (9, 8, 7, 3)
    voxel = np.rint(np.linalg.inv(image.affine) @ [*said["peak"]["xyz"], 1.0]).astype(int)[:3]
    assert image.get_fdata()[(*voxel, 0)] == pytest.approx(said["peak"]["score"], rel=1e-6)
    page = (region / "report.html").read_text()
    assert 'id="table-searchlight"' in page
    assert 'id="searchlight-rsa-mine"' in page
    assert own.planned("--", "region_A") == set()
    file = own.folder / "study.yaml"
    study = yaml.safe_load(file.read_text())
    study["searchlight"]["rsa"]["radius"] = 3.0
    file.write_text(yaml.safe_dump(study))
    changed = {"searchlight: A/mine/searchlight.nc", "summarise: A/scores.parquet", "report: A/report.html"}
    assert own.planned("--", "region_A") == changed
