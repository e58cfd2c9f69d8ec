"""NIfTI files of known values, and the adapter that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from nibabel import Nifti1Image

from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.paths import bind
from isocortex.study.adapters import ADAPTERS as OPTIONS

SHAPE = (4, 3, 2)
AFFINE = np.array([[-2.0, 0, 0, 3], [0, 0, 2.5, -8], [0, 2, 0, 1], [0, 0, 0, 1]])  # left-handed, two axes exchanged
MASKED = [(0, 0, 1), (1, 2, 0), (3, 1, 1)]
TR = 2.0


def save(
    root: Path, name: str, values: np.ndarray, affine: np.ndarray = AFFINE, tr: float = TR, unit: str = "sec", **header: Any
) -> str:
    image = Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm", unit)
    if values.ndim == 4:
        image.header["pixdim"][4] = tr
    for key, value in header.items():
        image.header[key] = value
    (root / name).parent.mkdir(exist_ok=True)
    image.to_filename(root / name)
    return name


def at(values: np.ndarray) -> np.ndarray:
    """(volume, neuroid): what stands at the voxels of the mask."""
    return np.stack([values[voxel] for voxel in MASKED], axis=-1)


def mask_of(root: Path, name: str = "mask.nii.gz", voxels: Sequence[tuple[int, ...]] = MASKED, value: float = 1) -> str:
    values = np.zeros(SHAPE, dtype=np.float32)
    for voxel in voxels:
        values[voxel] = value
    return save(root, name, values)


def load(root: Path, ids: Sequence[str], **rest: Any) -> xr.Dataset:
    spec = {"adapter": "nifti", "stimuli": "all", "mask": {"path": "mask.nii.gz"}, **rest}
    options = OPTIONS["nifti"].model_validate({name: value for name, value in spec.items() if value is not None})
    return bind(ADAPTERS, "nifti", "subject")(
        {**options.model_dump(), "subject": "S"}, root, pd.DataFrame({"stimulus_id": ids})
    )


def bold(seed: int, n: int = 40) -> np.ndarray:
    return (1000 + 50 * np.random.default_rng(seed).normal(size=(*SHAPE, n))).astype(np.int16)


def run(root: Path, number: int, names: Sequence[str], n: int = 40, suffix: str = ".nii.gz", **header: Any) -> dict[str, Any]:
    """A run's files, with an event every 16 s; its entry."""
    path = save(root, f"run{number}{suffix}", bold(number, n), **header)
    table = pd.DataFrame({"onset": [4.0 + 16 * k for k in range(len(names))], "duration": 4.0, "trial_type": names})
    table.to_csv(root / f"run{number}.tsv", sep="\t", index=False)
    return {"bold": {"path": path}, "events": {"path": f"run{number}.tsv"}, "run": number, "session": "one"}
