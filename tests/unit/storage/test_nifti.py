"""A written map is what others read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nibabel
import numpy as np

from isocortex.storage.nifti import write_nifti


def test_volumes_affine_and_description_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    volumes = [rng.normal(size=(4, 5, 6)), rng.random((4, 5, 6))]
    affine = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
    path = tmp_path / "deep" / "map.nii.gz"
    digest = write_nifti(path, volumes, affine, "score; 1-p " + "x" * 100)
    image = nibabel.load(path)
    assert image.shape == (4, 5, 6, 2)
    assert image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(image.get_fdata(), np.stack(volumes, -1).astype(np.float32))
    np.testing.assert_array_equal(image.affine, affine)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert bytes(image.header["descrip"]).startswith(b"score; 1-p x")
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert write_nifti(tmp_path / "again.nii.gz", volumes, affine, "score; 1-p " + "x" * 100) == digest
    assert [file.name for file in path.parent.iterdir()] == ["map.nii.gz"]
