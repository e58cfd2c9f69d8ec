"""Atlases through nilearn's fetchers: what is asked of them, what is written, and what is refused."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import nibabel
import nilearn.datasets
import numpy as np
import pandas as pd
import pytest

from isocortex.errors import FetchError
from isocortex.recordings.archives.atlases import ATLASES, fetch_atlas
from isocortex.study.options.places import ATLAS_OPTIONS, Atlas
from isocortex.study.places import SPACES, atlas_url


def faked(monkeypatch: pytest.MonkeyPatch, name: str, shape: tuple[int, ...] = (2, 2, 2)) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def fetcher(**arguments: Any) -> SimpleNamespace:
        seen.update(arguments)
        values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        lut = pd.DataFrame({"index": [0, 3], "name": ["Background", "Vis_1"], "color": ["#000000", "#ff0000"]})
        return SimpleNamespace(maps=nibabel.Nifti1Image(values, np.diag([2.0, 2, 2, 1])), lut=lut)

    monkeypatch.setattr(nilearn.datasets, name, fetcher)
    return seen


def test_image_and_names_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = faked(monkeypatch, "fetch_atlas_schaefer_2018")
    atlas = Atlas(name="schaefer_2018", n_rois=400, networks=7)
    assert atlas_url(atlas) == "nilearn-atlas://schaefer_2018?n_rois=400&networks=7"
    fetch_atlas(atlas_url(atlas), tmp_path / "atlases" / "a")
    assert {key: seen[key] for key in ("n_rois", "yeo_networks")} == {"n_rois": 400, "yeo_networks": 7}
    image: Any = nibabel.load(tmp_path / "atlases" / "a" / "atlas.nii.gz")
    assert image.get_data_dtype() == np.int32
    np.testing.assert_array_equal(image.dataobj, np.arange(8).reshape(2, 2, 2))
    assert image.affine[0, 0] == 2
    assert (tmp_path / "atlases" / "a" / "labels.tsv").read_text() == "index\tname\n0\tBackground\n3\tVis_1\n"
    assert [path.name for path in (tmp_path / "atlases").iterdir()] == ["a"]


def test_names_of_the_options_are_those_of_the_fetchers() -> None:
    names = set(ATLAS_OPTIONS) - {""}
    assert names == set(ATLASES) == set(SPACES) == set(get_args(get_args(Atlas.model_fields["name"].annotation)[0]))
    for name, (function, arguments) in ATLASES.items():
        assert set(arguments) == set(ATLAS_OPTIONS[name])
        assert set(arguments.values()) <= set(inspect.signature(getattr(nilearn.datasets, function)).parameters)


def test_what_is_no_label_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faked(monkeypatch, "fetch_atlas_aal", (2, 2, 2, 3))
    with pytest.raises(FetchError, match=r"nilearn-atlas://aal: found maps of shape \(2, 2, 2, 3\), expected one label image"):
        fetch_atlas("nilearn-atlas://aal", tmp_path / "a")
    with pytest.raises(FetchError, match=r"found 'ale', expected one of aal, destrieux"):
        fetch_atlas("nilearn-atlas://ale", tmp_path / "a")
    with pytest.raises(FetchError, match=r"found 'n', expected version; correct the url"):
        fetch_atlas("nilearn-atlas://aal?n=3", tmp_path / "a")

    def broken(**_: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(nilearn.datasets, "fetch_atlas_aal", broken)
    with pytest.raises(FetchError, match=r"nilearn-atlas://aal: nilearn could not fetch it \(no route\); check the network"):
        fetch_atlas("nilearn-atlas://aal", tmp_path / "a")
    assert not (tmp_path / "a").exists()
