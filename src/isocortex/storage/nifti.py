"""Maps as NIfTI files, for the viewers of others."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from isocortex.storage.atomic import digest_bytes, replacing

_MM, _ALIGNED = 2, 2  # NIfTI codes: the unit, and "aligned to another scan's space": which space it is, the affine does not say


def write_nifti(path: Path | str, volumes: Sequence[np.ndarray], affine: np.ndarray, description: str) -> str:
    """Write volumes (X, Y, Z) as one float32 NIfTI-1 file (X, Y, Z, k), `.nii.gz`, atomically; returns its SHA-256.

    `description` (80 characters at most) says what the volumes are. The same volumes give the same bytes.
    """
    import nibabel

    image = nibabel.Nifti1Image(np.stack(volumes, axis=-1).astype(np.float32), affine)
    image.header["descrip"] = description.encode("ascii")[:79]
    image.header["xyzt_units"] = _MM
    image.set_sform(affine, code=_ALIGNED)
    image.set_qform(affine, code=_ALIGNED)
    data = gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return digest_bytes(data)
