"""Patterns of black and white squares: which was shown during each volume, and the set of all that were shown.

Form of a file: a line per volume with the value of every pixel, 0 or 1, separated by commas, without a header; -1 throughout is
rest. Pixels go down the columns of the picture, as MATLAB has them. Source: Miyawaki et al. (2008),
doi:10.1016/j.neuron.2008.11.004, as nilearn's `fetch_miyawaki2008` gives it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from isocortex.errors import DataError
from isocortex.recordings.paths import inside
from isocortex.storage.atomic import replacing
from isocortex.storage.images import as_rgb, image_digest

REST = -1
DIGITS = 12  # of the digest that names a pattern
FOLDER = "made"


def read_patterns(file: Path, where: str, separator: str = ",") -> np.ndarray:
    """Pixels (volume, pixel) int8 of a file, `REST` in every pixel of a volume without a pattern.

    Raises `DataError` for a file that is no table of numbers, for other numbers, and for a volume of which a part is rest.
    """
    try:
        table = pd.read_csv(file, sep=separator, header=None)
    except (OSError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise DataError(f"{where}: {file.name} is not a readable table ({text}); replace it") from error
    values = table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    rest = (values == REST).all(axis=1)
    wrong = np.argwhere(~np.isin(values, (0, 1)) & ~rest[:, None])
    if len(wrong):
        line, pixel = (int(place) for place in wrong[0])
        raise DataError(
            f"{where}: {file.name}, line {line + 1}, pixel {pixel + 1} is {table.iloc[line, pixel]!s}, expected 0 or 1, or -1 "
            "in the whole line (rest); replace the file"
        )
    return values.astype(np.int8)


def pattern_ids(patterns: np.ndarray) -> list[str]:
    """A name per row of (n, pixel): `p` and the start of the SHA-256 of its digits; "" for rest."""
    names = ("".join(map(str, row)) for row in patterns.tolist())
    return [
        "" if row[0] == REST else f"p{hashlib.sha256(name.encode()).hexdigest()[:DIGITS]}"
        for row, name in zip(patterns, names, strict=True)
    ]


def make_stimuli(entry: Mapping[str, Any], root: Path) -> pd.DataFrame:
    """The table of a set {patterns: {files: [{path}], shape: [height, width]}}, in the order in which patterns first appear.

    Returns the columns of every table and `pixel_<row>_<column>` (0 or 1, rows from the top). Pictures (height, width) of 0 and
    255 are written below `root`, into an array whose name tells its content. Raises `DataError` for files of another form.
    """
    spec, where = entry["patterns"], "stimulus set patterns"
    height, width = spec["shape"]
    found = _distinct([item["path"] for item in spec["files"]], height * width, root, where)
    pixels = np.stack([row.reshape((height, width), order="F") for row in found.values()]).astype(np.uint8)
    pictures = pixels * np.uint8(255)
    table = pd.DataFrame({
        "stimulus_id": list(found),
        "digest": [image_digest(as_rgb(picture, where)) for picture in pictures],
        "path": _written(pictures, root),
        "row": np.arange(len(found)),
        "caption": "",
    })  # fmt: skip
    names = [f"pixel_{row}_{column}" for row in range(height) for column in range(width)]
    labels = pd.DataFrame(pixels.reshape(len(found), -1).astype(np.int64), columns=pd.Index(names))
    return pd.concat([table, labels], axis=1)


def _distinct(paths: Sequence[str], n_pixels: int, root: Path, where: str) -> dict[str, np.ndarray]:
    """Pixels of every pattern in the files by its name."""
    found: dict[str, np.ndarray] = {}
    for path in paths:
        rows = read_patterns(inside(root, path, where), f"{where} {path}")
        if rows.shape[1] != n_pixels:
            raise DataError(
                f"{where} {path}: found {rows.shape[1]} pixels in a line, expected {n_pixels}, height x width; "
                "correct shape, or replace the file"
            )
        for name, row in zip(pattern_ids(rows), rows, strict=True):
            if name:
                found.setdefault(name, row)
    if not found:
        raise DataError(f"{where}: {len(paths)} files hold rest only, expected patterns; name other files")
    return found


def _written(pictures: np.ndarray, root: Path) -> str:
    """The path below `root` of an array of these pictures, which is written if it is not there."""
    digest = hashlib.sha256(repr(pictures.shape).encode() + pictures.tobytes()).hexdigest()[:DIGITS]
    path = f"{FOLDER}/patterns-{digest}.npy"
    if not (root / path).exists():
        with replacing(root / path) as part:
            np.save(part, pictures)
    return path
