"""What was shown in each trial, by the lists that data sets bring: tables, lists of file names, and bdpy files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from isocortex.errors import DataError
from isocortex.recordings.known import check_known
from isocortex.recordings.paths import inside

REPEATED = "rep_"  # before the name of an image that BOLD5000 shows again
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif"})


def shown(spec: Mapping[str, Any], root: Path, where: str) -> pd.DataFrame:
    """One row per trial, in the order of the file: `stimulus_id`, `file` (the image's name) and every other column as text.

    Parameters
    ----------
    spec : {path[, column]}. A table with a header, separated by commas or tabs (`column`, by default `stimulus`, holds the
        images' names), a `.txt` with one name per line, or a bdpy `.h5`.

    An id is the name without folder, suffix and the `rep_` that BOLD5000 puts before repeated images. Raises `DataError` for a
    file that cannot be read, of another kind, or without that column.
    """
    where = f"{where} {spec['path']}"
    file = inside(root, spec["path"], where)
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise DataError(f"{where}: found {file.suffix or 'no suffix'}, expected one of {', '.join(READERS)}; name another file")
    try:
        table, column = reader(file, spec.get("column"), where)
    except (OSError, ValueError) as error:
        text = " ".join(str(error).split())[:150]
        raise DataError(f"{where}: not readable ({text}); make or fetch the file again") from error
    if column not in table:
        raise DataError(f"{where}: no column {column!r}, found {', '.join(map(str, table.columns))}; correct column")
    names = [PurePosixPath(name).name.removeprefix(REPEATED) for name in table[column].astype(str)]
    if "" in names or not names:
        raise DataError(
            f"{where}: trial {names.index('') + 1 if names else 1} names no image, expected a name; correct the file"
        )
    ids = [_stem(name) for name in names]
    first: dict[str, str] = {}
    for name, whole in zip(ids, table[column].astype(str), strict=True):
        other = first.setdefault(name, whole.replace(REPEATED, ""))
        if other != whole.replace(REPEATED, ""):
            raise DataError(
                f"{where}: {other!r} and {whole!r} have one name without folder and suffix, expected one image per name; "
                "rename them in the file"
            )
    return table.assign(file=names, stimulus_id=ids)


def unique(table: pd.DataFrame, labels: Sequence[str], where: str) -> pd.DataFrame:
    """The first row of each image, in the order of their ids; a `DataError` for a missing label."""
    for label in labels:
        if label not in table:
            raise DataError(f"{where}: no column {label!r}, found {', '.join(map(str, table.columns))}; correct labels")
    _, first = np.unique(table["stimulus_id"].to_numpy(dtype=str), return_index=True)
    return table.iloc[first].reset_index(drop=True)


def check_shown(ids: np.ndarray, table: pd.DataFrame, where: str) -> None:
    """A `DataError` for trials whose image is not in the stimulus set."""
    advice = "make the set from the same list (shown: {path: …}), or correct stimuli"
    check_known(ids, table["stimulus_id"].astype(str), where, "images", advice)


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in PICTURES else name


def _table(file: Path, column: str | None, where: str) -> tuple[pd.DataFrame, str]:  # noqa: ARG001
    # Tables of THINGS-fMRI at OpenNeuro are called .tsv and separated by commas.
    with open(file, encoding="utf-8") as stream:
        separator = "\t" if "\t" in stream.readline() else ","
    return pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False), column or "stimulus"


def _lines(file: Path, column: str | None, where: str) -> tuple[pd.DataFrame, str]:  # noqa: ARG001
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    return pd.DataFrame({"stimulus": [line for line in lines if line]}, dtype=str), "stimulus"


def _bdpy(file: Path, column: str | None, where: str) -> tuple[pd.DataFrame, str]:
    from isocortex.recordings.bdpy import open_bdata

    data = open_bdata(file, where)
    kept = np.flatnonzero(np.isin(data.column("DataType"), (1, 2)))  # what was seen; 3 was imagined
    names = image_names(data.column(column or "stimulus_id")[kept])
    return pd.DataFrame({"stimulus": [f"{name}.JPEG" for name in names]}), "stimulus"


def image_names(numbers: np.ndarray) -> list[str]:
    """ImageNet's names for the numbers of Generic Object Decoding: 1518878.010042 is n01518878_10042; a whole number is a
    category, n01518878."""
    names = []
    for number in numbers:
        category, image = f"{float(number):.6f}".split(".")
        names.append(f"n{int(category):08d}" + (f"_{int(image)}" if int(image) else ""))
    return names


READERS: Mapping[str, Callable[[Path, str | None, str], tuple[pd.DataFrame, str]]] = {
    ".csv": _table,
    ".tsv": _table,
    ".txt": _lines,
    ".h5": _bdpy,
}
