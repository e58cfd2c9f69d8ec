"""The Natural Scenes Dataset: single-trial estimates of voxels in the subject's own space, read session by session.

Layout (NSD data manual, "Functional data (NSD)" and "ROIs"): `betas` of an HDF5 file is X × Y × Z × 750 as
MATLAB writes it, hence (750, Z, Y, X) here, in chunks of one voxel; int16, 300 times the percent signal change. NIfTI masks are
(X, Y, Z). A voxel that lies outside of the volume of a session is 0 in all its trials, and NaN here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.fmri.images import Grid, open_scan, volumes
from isocortex.recordings.known import check_known
from isocortex.recordings.nsd_stimuli import TRIALS, read_design, stimulus_ids
from isocortex.recordings.paths import inside
from isocortex.recordings.repeats import repeat_numbers
from isocortex.storage.lazy import lazy_response

SCALE = 300.0
OTHER_SET = "give the set the same number and sessions, or set images: shared for both"
# Names of the values 1, 2, … of a ROI file; those of other files stay numbers.
NAMES: Mapping[str, Sequence[str]] = {
    "prf-visualrois": ("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"),
    "prf-eccrois": ("ecc0pt5", "ecc1", "ecc2", "ecc4", "ecc4+"),
    "streams": ("early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"),
    "floc-faces": ("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"),
    "floc-bodies": ("EBA", "FBA-1", "FBA-2", "mTL-bodies"),
    "floc-places": ("OPA", "PPA", "RSC"),
    "floc-words": ("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"),
}


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one subject.

    Parameters
    ----------
    spec : as `study.adapters.nsd.NsdSubject` fills it: number, images (all or shared), files {design, betas, masks,
        rois, ncsnr}.
    root : the data set's folder, laid out as the public bucket.
    stimuli_table : the stimulus set; its ids are nsd00001 to nsd73000 (numbers from 1, as in nsd_expdesign.mat).

    Returns
    -------
    Dataset with `response` (presentation, neuroid) float32 in percent signal change, read lazily (a session at a time is held,
    1500 bytes per voxel); coords stimulus_id, repeat, session (01 …), run (0: twelve runs of a session, not told apart);
    neuroids are the voxels of any mask, with neuroid_id `x-y-z` (indices from 0), x y z in mm by the mask's affine, `ncsnr` and
    a label per ROI file; attrs affine, shape and space.

    Raises
    ------
    DataError for files that are missing or do not fit together, and images that are not in the stimulus set.
    """
    what, files = f"NSD subject {spec['number']},", spec["files"]
    grid, voxels = _voxels(files["masks"], root, what)
    trials, rows, sessions = _trials(spec, root, what)
    ids = stimulus_ids(trials)
    check_known(ids, stimuli_table["stimulus_id"].astype(str), what.rstrip(","), "images", OTHER_SET)
    reader = _Sessions(root, files["betas"], voxels, grid, what)
    taken = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
    labels = {name: _labels(name, place, root, grid, voxels, what) for name, place in files["rois"].items()}
    return xr.Dataset(
        {"response": lazy_response((len(ids), len(voxels[0])), lambda chosen, columns: reader.read(taken[chosen], columns))},
        coords={
            "stimulus_id": ("presentation", ids),
            "repeat": ("presentation", repeat_numbers(ids)),
            "session": ("presentation", sessions),
            "run": ("presentation", np.zeros(len(ids), dtype=np.int64)),
            **{name: ("neuroid", values) for name, values in grid.neuroids(voxels).items()},
            "ncsnr": ("neuroid", _volume(files["ncsnr"], root, grid, what)[voxels]),
            **{name: ("neuroid", values) for name, values in labels.items()},
        },
        attrs={**grid.attrs, "space": f"subj{spec['number']:02d} {spec['space']}"},
    )


def _trials(spec: Mapping[str, Any], root: Path, what: str) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Image of each kept trial, its place in the read sessions (per session), and its session."""
    design = read_design(root, spec["files"]["design"]["path"], int(spec["number"]), what)
    images, rows, sessions = [], [], []
    for place, one in enumerate(spec["files"]["betas"]):
        shown = design.session(int(one["session"]))
        kept = np.flatnonzero(np.isin(shown, design.shared)) if spec["images"] == "shared" else np.arange(TRIALS)
        images.append(shown[kept])
        rows.append(place * TRIALS + kept)
        sessions += [f"{one['session']:02d}"] * len(kept)
    return np.concatenate(images), rows, np.asarray(sessions, dtype=str)


def _volume(place: Mapping[str, Any], root: Path, grid: Grid | None, what: str) -> np.ndarray:
    """The values (X, Y, Z) of a NIfTI file, float64, on the grid of the masks."""
    scan = open_scan(place, root, what)
    difference = grid.differs(scan.grid) if grid else ""
    if difference or len(scan) != 1:
        found = difference or f"{len(scan)} volumes, expected one"
        raise DataError(f"{scan.where}: found {found}; the files are of another subject or space: fetch them again")
    return next(volumes(scan, 0, 1))


def _voxels(places: Sequence[Mapping[str, Any]], root: Path, what: str) -> tuple[Grid, tuple[np.ndarray, ...]]:
    """The grid, and the indices (x, y, z) of the voxels that any mask holds (a value above 0), in C order."""
    grid = open_scan(places[0], root, what).grid
    within = np.zeros(grid.shape, dtype=bool)
    for place in places:
        within |= _volume(place, root, grid, what) > 0
    if not within.any():
        raise DataError(f"{what} {places[0]['path']}: no voxel is above 0, expected some; name another mask")
    return grid, np.nonzero(within)


def _labels(
    name: str, place: Mapping[str, Any], root: Path, grid: Grid, voxels: tuple[np.ndarray, ...], what: str
) -> np.ndarray:
    """The name (else the number) of the region of each voxel; '' where the file has 0 or less (-1 is outside of cortex)."""
    numbers = np.nan_to_num(_volume(place, root, grid, what)[voxels]).astype(np.int64)
    known = dict(enumerate(NAMES.get(name, ()), 1))
    return np.asarray(["" if number <= 0 else known.get(int(number), str(number)) for number in numbers], dtype=str)


class _Sessions:
    """Reads trials of voxels, keeping the session that was read last."""

    def __init__(
        self, root: Path, files: Sequence[Mapping[str, Any]], voxels: tuple[np.ndarray, ...], grid: Grid, what: str
    ) -> None:
        self._files = [(inside(root, one["path"], f"{what} {one['path']}"), f"{what} {one['path']}") for one in files]
        self._voxels, self._shape = voxels, (TRIALS, *grid.shape[::-1])
        self._last: tuple[int, np.ndarray, np.ndarray] | None = None
        for file, where in self._files:  # a wrong file is found before hours of reading
            self._open(file, where, lambda _: None)

    def read(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Values (rows, columns) in percent signal change; rows count the trials of the sessions one after another."""
        result = np.empty((len(rows), len(columns)), dtype=np.float32)
        for place in np.unique(rows // TRIALS):
            here = np.flatnonzero(rows // TRIALS == place)
            values, outside = self._session(int(place))
            picked = values[np.ix_(rows[here] % TRIALS, columns)] / np.float32(SCALE)
            result[here] = np.where(outside[columns], np.float32(np.nan), picked)
        return result

    def _session(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """(750, voxels) int16, and which voxels are 0 in all trials."""
        if self._last is None or self._last[0] != place:
            self._last = None  # one session at a time
            values = self._open(*self._files[place], self._pick)
            self._last = (place, values, ~values.any(axis=0))
        return self._last[1:]

    def _open(self, file: Path, where: str, take: Any) -> Any:
        import h5py

        try:
            with h5py.File(file, "r") as opened:
                betas: Any = opened.get("betas")
                if betas is None:
                    raise DataError(f"{where}: no array 'betas', found {', '.join(opened)}; fetch the file again")
                if betas.shape != self._shape or betas.dtype != np.int16:
                    raise DataError(
                        f"{where}: betas are {betas.dtype} {betas.shape}, expected int16 {self._shape}: {TRIALS} trials, and "
                        "the mask's axes in reverse; the file is of another subject or space, or cut short: fetch it again"
                    )
                return take(betas)
        except OSError as error:
            text = " ".join(str(error).split())[:150]
            raise DataError(f"{where}: not readable as HDF5 ({text}); fetch it again") from error

    def _pick(self, betas: Any) -> np.ndarray:
        """(750, voxels) int16, from the box around the voxels, a slice along z at a time."""
        x, y, z = self._voxels
        left, front = int(x.min()), int(y.min())
        found = np.empty((TRIALS, len(x)), dtype=np.int16)
        for level in np.unique(z):
            mine = np.flatnonzero(z == level)
            slab = betas[:, int(level), front : int(y.max()) + 1, left : int(x.max()) + 1]
            found[:, mine] = slab[:, y[mine] - front, x[mine] - left]
        return found
