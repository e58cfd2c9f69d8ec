"""RDMs and patterns for other tools: xarray, and the HDF5 files and objects of rsatoolbox, written without it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isocortex.errors import DataError, IsocortexError
from isocortex.similarity.rdm.vectors import n_stimuli, to_square
from isocortex.storage.atomic import replacing

if TYPE_CHECKING:
    import h5py
    import xarray

SUFFIXES = (".h5", ".hdf5")

# What rsatoolbox calls its measures.
MEASURES = {
    "correlation": "correlation",
    "euclidean": "squared euclidean",
    "cosine": "cosine",
    "mahalanobis": "squared mahalanobis",
    "crossnobis": "crossnobis",
    "poisson": "poisson",
    "poisson_cv": "poisson_cv",
}


def to_xarray(vectors: Any, stimulus_ids: Sequence[str], **coords: Any) -> xarray.DataArray:
    """RDMs (…, stimulus, stimulus_) with a diagonal of zeros, from vectors (…, n(n − 1)/2).

    `coords` name the leading axes in their order (subject=["S1", "S2"]); single values label all. Raises `DataError` where
    the lengths do not fit.
    """
    import xarray

    square = np.asarray(to_square(np.asarray(vectors)))
    ids = _ids(stimulus_ids, square.shape[-1])
    axes = {name: list(values) for name, values in coords.items() if not _single(values)}
    if tuple(map(len, axes.values())) != square.shape[:-2]:
        lengths = {name: len(values) for name, values in axes.items()}
        raise DataError(
            f"export: found coordinates of lengths {lengths}, expected one for each leading axis of RDMs {square.shape}"
        )
    return xarray.DataArray(
        square,
        dims=(*axes, "stimulus", "stimulus_"),
        coords={
            **axes,
            **{name: value for name, value in coords.items() if name not in axes},
            "stimulus_id": ("stimulus", ids),
        },
        name="rdm",
    )


def write_rsatoolbox(
    path: Path | str,
    vectors: Any,
    stimulus_ids: Sequence[str],
    measure: str,
    rdm_descriptors: Mapping[str, Any] | None = None,
    descriptors: Mapping[str, Any] | None = None,
) -> None:
    """Write RDM vectors (M, n(n − 1)/2), or one, as the HDF5 that `rsatoolbox.rdm.load_rdm` reads (of rsatoolbox 0.3.2).

    Its pattern descriptor `stimulus` holds the ids; `rdm_descriptors` hold one value per RDM, `descriptors` one for all.
    Raises `DataError` for another suffix than .h5 or .hdf5 and where lengths do not fit.
    """
    _write(path, _rdms(vectors, stimulus_ids, measure, rdm_descriptors, descriptors))


def write_rsatoolbox_dataset(
    path: Path | str,
    measurements: np.ndarray,
    observations: Mapping[str, Any],
    channels: Mapping[str, Any] | None = None,
    descriptors: Mapping[str, Any] | None = None,
) -> None:
    """Write patterns (n_observations, n_neuroids) as the HDF5 that `rsatoolbox.data.load_dataset` reads (rsatoolbox 0.3.2).

    `observations` and `channels` are descriptors with one value per row and per column, such as stimulus and repeat. Values
    are stored in float64. Raises `DataError` as `write_rsatoolbox`.
    """
    values = np.asarray(measurements, dtype=np.float64)
    if values.ndim != 2:
        raise DataError(f"export: found patterns of shape {values.shape}, expected (n_observations, n_neuroids)")
    content = {
        "measurements": values,
        "descriptors": dict(descriptors or {}),
        "obs_descriptors": _per_item(observations, values.shape[0], "observations"),
        "channel_descriptors": _per_item(channels or {}, values.shape[1], "channels"),
        "type": "Dataset",
    }
    _write(path, content)


def to_rsatoolbox(
    vectors: Any, stimulus_ids: Sequence[str], measure: str, rdm_descriptors: Mapping[str, Any] | None = None
) -> Any:
    """The `rsatoolbox.rdm.RDMs` of what `write_rsatoolbox` writes; an `IsocortexError` where rsatoolbox is not installed."""
    content = _rdms(vectors, stimulus_ids, measure, rdm_descriptors, None)
    try:
        module = importlib.import_module("rsatoolbox.rdm")
    except ImportError:
        raise IsocortexError("export: rsatoolbox is not installed; pip install rsatoolbox, or write a file for it") from None
    lists = {key: {name: list(v) for name, v in content[key].items()} for key in ("rdm_descriptors", "pattern_descriptors")}
    return module.RDMs(content["dissimilarities"], content["dissimilarity_measure"], content["descriptors"], **lists)


def _single(values: Any) -> bool:
    return isinstance(values, str) or np.ndim(values) == 0


def _ids(stimulus_ids: Sequence[str], n: int) -> np.ndarray:
    ids = np.asarray(list(stimulus_ids), dtype=str)
    if len(ids) != n:
        raise DataError(f"export: found {len(ids)} stimulus ids, expected {n} as in the RDMs; give those of the RDMs in order")
    return ids


def _rdms(
    vectors: Any,
    stimulus_ids: Sequence[str],
    measure: str,
    rdm_descriptors: Mapping[str, Any] | None,
    descriptors: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What rsatoolbox's `RDMs.to_dict` holds."""
    rows = np.atleast_2d(np.asarray(vectors, dtype=np.float64))
    if rows.ndim != 2:
        raise DataError(f"export: found RDM vectors of shape {rows.shape}, expected (n_rdms, n_pairs)")
    ids = _ids(stimulus_ids, n_stimuli(rows.shape[1]))
    return {
        "dissimilarities": rows,
        "descriptors": dict(descriptors or {}),
        "rdm_descriptors": {**_per_item(rdm_descriptors or {}, len(rows), "RDMs"), "index": np.arange(len(rows))},
        "pattern_descriptors": {"stimulus": ids, "index": np.arange(len(ids))},
        "dissimilarity_measure": MEASURES.get(measure, measure),
    }


def _per_item(descriptors: Mapping[str, Any], n: int, what: str) -> dict[str, np.ndarray]:
    arrays = {name: np.asarray(values) for name, values in descriptors.items()}
    for name, values in arrays.items():
        if values.ndim != 1 or len(values) != n:
            raise DataError(
                f"export: descriptor {name!r} has shape {values.shape}, expected ({n},), one value for each of the {what}"
            )
    return arrays


def _write(path: Path | str, content: Mapping[str, Any]) -> None:
    import h5py

    if Path(path).suffix not in SUFFIXES:
        raise DataError(f"export: found file name {Path(path).name!r}, expected one that ends in {' or '.join(SUFFIXES)}")
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        _write_group(file, content)


def _write_group(group: h5py.Group, content: Mapping[str, Any]) -> None:
    """rsatoolbox's layout: a string is an attribute, an array a dataset, a dictionary a group."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            _write_group(group.create_group(name), value)
        elif isinstance(value, str):
            group.attrs[name] = str(value)
        else:
            array = np.asarray(value)
            # It reads fixed-length bytes, which hold ASCII only.
            group[name] = np.char.encode(array, "ascii", "backslashreplace") if array.dtype.kind == "U" else array
