"""The images of the Natural Scenes Dataset, and when each was shown.

Numbers of images are those of nsd_expdesign.mat, from 1 to 73000 (1-based); `nsdId` of nsd_stim_info_merged.csv is one less.
Source: NSD data manual, "Experiments"; Allen et al. (2022), doi:10.1038/s41593-021-00962-x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from isocortex.errors import DataError
from isocortex.recordings.paths import inside
from isocortex.storage.images import as_rgb, image_digest
from isocortex.study.adapters.nsd import check_sessions

TRIALS = 750  # of a session
KEY = "imgBrick"


@dataclass(frozen=True)
class Design:
    """Images in the order of one subject's 30000 trials, and those that all subjects were to see; numbers from 1."""

    order: np.ndarray
    shared: np.ndarray
    where: str

    def session(self, session: int) -> np.ndarray:
        """The images of the 750 trials of a session (from 1)."""
        start = (session - 1) * TRIALS
        if len(self.order) < start + TRIALS:
            raise DataError(
                f"{self.where}: masterordering has {len(self.order)} trials, expected {start + TRIALS} or more for session "
                f"{session}; fetch the file again, or leave the session out"
            )
        return self.order[start : start + TRIALS]


def read_design(root: Path, path: str, number: int, what: str) -> Design:
    """The order of images of subject `number` (1 to 8): `subjectim[number, masterordering]`, both 1-based.

    Raises `DataError` for a file without masterordering (1, trials), subjectim (8, images) and sharedix (1, 1000), or with
    indices beyond them.
    """
    from scipy.io import loadmat

    where = f"{what} {path}"
    file = inside(root, path, where)
    names = ("masterordering", "subjectim", "sharedix")
    try:
        found = loadmat(file, variable_names=list(names))
    except (ValueError, OSError, NotImplementedError, TypeError) as error:
        text = " ".join(str(error).split())[:150]
        raise DataError(f"{where}: not readable as a MAT file ({text}); fetch it again") from error
    lacking = [name for name in names if name not in found]
    if lacking:
        raise DataError(f"{where}: no variable {lacking[0]!r}, expected {', '.join(names)}; fetch the file again")
    order, images, shared = (np.asarray(found[name]).astype(np.int64) for name in names)
    order = order.ravel()
    if images.ndim != 2 or len(images) < number:
        raise DataError(f"{where}: subjectim has shape {images.shape}, expected (8, images); fetch the file again")
    if len(order) and not (order.min() >= 1 and order.max() <= images.shape[1]):
        raise DataError(
            f"{where}: masterordering goes from {order.min()} to {order.max()}, expected 1 to {images.shape[1]}, the images of "
            "a subject; fetch the file again"
        )
    return Design(images[number - 1, order - 1], shared.ravel(), where)


def stimulus_ids(images: Sequence[int] | np.ndarray) -> np.ndarray:
    """`nsd00001` to `nsd73000` for numbers from 1."""
    return np.asarray([f"nsd{int(image):05d}" for image in images], dtype=str)


def make_stimuli(entry: Mapping[str, Any], root: Path) -> pd.DataFrame:
    """The table of a set {nsd: {number, images, sessions, design: {path}, brick: {path}}}, in the order of the numbers.

    Returns the columns of every table and `shared`: "1" for an image that all subjects were to see, else "0". Raises
    `DataError` for a design or images of another form.
    """
    spec, what = entry["nsd"], "stimulus set nsd"
    number = int(spec["number"])
    design = read_design(root, spec["design"]["path"], number, what)
    shown = np.unique(np.concatenate([design.session(one) for one in check_sessions(number, spec["sessions"])]))
    shared = np.isin(shown, design.shared)
    if spec["images"] == "shared":
        shown, shared = shown[shared], shared[shared]
    path = spec["brick"]["path"]
    return pd.DataFrame({
        "stimulus_id": stimulus_ids(shown),
        "digest": _digests(root, path, shown - 1, what),
        "path": f"{path}!{KEY}",
        "row": shown - 1,
        "caption": "",
        "shared": np.where(shared, "1", "0"),
    })  # fmt: skip


def _digests(root: Path, path: str, rows: np.ndarray, what: str) -> list[str]:
    """The digest of each image, one at a time: the file has 40 GB."""
    import h5py

    where = f"{what} {path}"
    file = inside(root, path, where)
    try:
        with h5py.File(file, "r") as opened:
            brick: Any = opened.get(KEY)
            if brick is None or len(brick.shape) != 4 or (len(rows) and rows.max() >= brick.shape[0]):
                found = "none" if brick is None else f"shape {brick.shape}"
                most = int(rows.max()) + 1 if len(rows) else 1
                raise DataError(f"{where}: {KEY} has {found}, expected ({most} or more, y, x, 3); fetch the file again")
            return [image_digest(as_rgb(brick[int(row)], f"{where} row {row}")) for row in rows]
    except OSError as error:
        text = " ".join(str(error).split())[:150]
        raise DataError(f"{where}: not readable as HDF5 ({text}); fetch it again") from error
