"""`isocortex export`: the RDMs and patterns of results, as files of rsatoolbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray

from isocortex.errors import DataError
from isocortex.similarity.export import SUFFIXES, write_rsatoolbox, write_rsatoolbox_dataset
from isocortex.similarity.rdm import ESTIMATORS, brain_rdm, to_square, to_vector
from isocortex.storage.tables import open_tree


@dataclass(frozen=True)
class _Rdm:
    region: str
    subject: str
    stimulus_ids: tuple[str, ...]
    vector: np.ndarray


def export(source: Path | str, to: Path | str, region: str | None = None, method: str = "correlation") -> str:
    """Write the RDMs of all subjects and regions to `to`, and each subject's patterns beside it; return what was written.

    `source`: a `brain.nc`, the folder of a region, or that of a study. `method` makes RDMs of responses as `brain_rdm` does;
    published RDMs stay as they are. Where subjects saw different stimuli, an RDM has NaN for pairs that it lacks. Patterns lie
    in `NAME-REGION-SUBJECT.h5`, one row for every presentation with descriptors stimulus and repeat.
    Raises `DataError` where there is no such region, and where a region's RDM cannot be made.
    """
    target = Path(to)
    if target.suffix not in SUFFIXES:
        raise DataError(f"--to: found {target.name!r}, expected a name that ends in {' or '.join(SUFFIXES)}")
    if method not in ESTIMATORS:
        raise DataError(f"--rdm: found {method!r}, expected one of {', '.join(ESTIMATORS)}")
    rdms: list[_Rdm] = []
    measures: set[str] = set()
    lines: list[str] = []
    for name, subject, data in _members(Path(source), region):
        ids = tuple(data["stimulus_id"].to_numpy().astype(str).tolist())
        published = "rdm" in data
        measures.add("published" if published else method)
        rdms.append(_Rdm(name, subject, ids, _vector(data, method, f"region {name!r}, subject {subject!r}")))
        if not published:
            path = target.with_name(f"{target.stem}-{name}-{subject}{target.suffix}")
            lines.append(_write_patterns(path, data, name, subject))
    union = list(dict.fromkeys(stimulus for one in rdms for stimulus in one.stimulus_ids))
    described = {"subject": [one.subject for one in rdms], "region": [one.region for one in rdms]}
    vectors = np.stack([_on(union, one) for one in rdms])
    write_rsatoolbox(target, vectors, union, " and ".join(sorted(measures)), described)
    return "\n".join([f"{target}: {len(rdms)} RDMs of {len(union)} stimuli", *lines])


def _members(source: Path, region: str | None) -> Iterator[tuple[str, str, xarray.Dataset]]:
    """Region, subject and data, one at a time."""
    files = _files(source)
    there: list[str] = []
    found = False
    for file in files:
        with open_tree(file) as tree:
            name = str(tree.attrs.get("region", file.parent.name))
            there.append(name)
            if region is not None and name != region:
                continue
            for subject, node in tree.children.items():
                found = True
                yield name, str(subject), node.to_dataset()
    if not found:
        raise DataError(f"{source}: found no region {region!r}, expected one of {', '.join(sorted(there))}")


def _files(source: Path) -> Sequence[Path]:
    if source.is_file():
        return [source]
    files = [source / "brain.nc"] if (source / "brain.nc").is_file() else sorted(source.glob("*/brain.nc"))
    if not files:
        raise DataError(f"{source}: found no brain.nc here or one folder below, expected the results of a study or a region")
    return files


def _vector(data: xarray.Dataset, method: str, where: str) -> np.ndarray:
    if "rdm" in data:
        return np.asarray(to_vector(data["rdm"].to_numpy().astype(np.float64)))
    trials = None
    if "trials" in data:
        trials = data["trials"].transpose("stimulus", "repeat", "neuroid").to_numpy().astype(np.float64)
    try:
        return np.asarray(brain_rdm(data["response"].to_numpy().astype(np.float64), method, trials))
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def _on(stimulus_ids: Sequence[str], one: _Rdm) -> np.ndarray:
    """The RDM vector on the stimuli of all, NaN for pairs that it lacks."""
    if list(one.stimulus_ids) == list(stimulus_ids):
        return one.vector
    place = {stimulus: row for row, stimulus in enumerate(stimulus_ids)}
    rows = np.array([place[stimulus] for stimulus in one.stimulus_ids])
    square = np.full((len(stimulus_ids), len(stimulus_ids)), np.nan)
    square[np.ix_(rows, rows)] = to_square(one.vector)
    return np.asarray(to_vector(square))


def _write_patterns(path: Path, data: xarray.Dataset, region: str, subject: str) -> str:
    """Every presentation that has any value, in float64, with the neuroids' labels."""
    if "trials" in data:
        trials = data["trials"].transpose("stimulus", "repeat", "neuroid").to_numpy()
    else:
        trials = data["response"].to_numpy()[:, None]
    rows, repeats = np.nonzero(np.isfinite(trials).any(axis=2))
    labels = {str(name): coord.to_numpy() for name, coord in data.coords.items() if coord.dims == ("neuroid",)}
    channels = {name: values if values.dtype.kind in "biuf" else values.astype(str) for name, values in labels.items()}
    ids = data["stimulus_id"].to_numpy().astype(str)
    write_rsatoolbox_dataset(
        path,
        trials[rows, repeats],
        {"stimulus": ids[rows], "repeat": repeats},
        channels,
        {"subject": subject, "region": region},
    )
    return f"{path}: {len(rows)} presentations of {len(ids)} stimuli, {trials.shape[2]} neuroids"
