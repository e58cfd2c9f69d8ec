"""Atlases that nilearn fetches: label images and the names of their labels, in files that do not depend on nilearn."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd

from isocortex.errors import FetchError

# Name in the address: nilearn's function, and its arguments by those of the address.
ATLASES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "aal": ("fetch_atlas_aal", {"version": "version"}),
    "destrieux": ("fetch_atlas_destrieux_2009", {"lateralized": "lateralized"}),
    "harvard_oxford": ("fetch_atlas_harvard_oxford", {"image": "atlas_name"}),
    "juelich": ("fetch_atlas_juelich", {"image": "atlas_name"}),
    "schaefer_2018": (
        "fetch_atlas_schaefer_2018",
        {"n_rois": "n_rois", "networks": "yeo_networks", "resolution_mm": "resolution_mm"},
    ),
    "yeo_2011": ("fetch_atlas_yeo_2011", {"networks": "n_networks", "thickness": "thickness"}),
}
WORDS = {"True": True, "False": False}


def fetch_atlas(uri: str, target: Path) -> None:
    """Fetch `nilearn-atlas://schaefer_2018?n_rois=400` into the folder `target`, which appears whole.

    It holds `atlas.nii.gz` (the label image) and `labels.tsv` (columns index, name), from the attributes `maps` and `lut` that
    every atlas of nilearn 0.13 has. Raises `FetchError` for an unknown name or argument, for an image of more than one map, and
    for whatever goes wrong inside nilearn.
    """
    function, arguments = _known(uri)
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        import nibabel
        from nilearn import datasets, image

        atlas: Any = getattr(datasets, function)(data_dir=str(part / "nilearn"), verbose=0, **arguments)
        maps: Any = image.load_img(atlas.maps)
        values, names = np.squeeze(np.asanyarray(maps.dataobj)), pd.DataFrame(atlas.lut)[["index", "name"]]
    except Exception as error:  # nilearn passes on what its many sources raise
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise FetchError(f"{uri}: nilearn could not fetch it ({text}); check the network and run again") from error
    if values.ndim != 3:
        said = f"found maps of shape {values.shape}, expected one label image"
        raise FetchError(f"{uri}: {said}; choose one of most probable labels")
    nibabel.save(nibabel.Nifti1Image(np.round(values).astype(np.int32), maps.affine), part / "atlas.nii.gz")
    names.to_csv(part / "labels.tsv", sep="\t", index=False)
    shutil.rmtree(part / "nilearn", ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    part.replace(target)


def _known(uri: str) -> tuple[str, dict[str, Any]]:
    address = urlsplit(uri)
    if address.netloc not in ATLASES:
        raise FetchError(f"{uri}: found {address.netloc!r}, expected one of {', '.join(ATLASES)}; correct the url")
    function, names = ATLASES[address.netloc]
    asked = {name: values[0] for name, values in parse_qs(address.query).items()}
    if strange := sorted(set(asked) - set(names)):
        raise FetchError(f"{uri}: found {strange[0]!r}, expected {', '.join(names)}; correct the url")
    return function, {names[name]: int(text) if text.isdigit() else WORDS.get(text, text) for name, text in asked.items()}
