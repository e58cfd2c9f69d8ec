"""The table of a stimulus set: what was shown, in which order, and where its image lies."""

from __future__ import annotations

import itertools
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text, open_response, read_array
from isocortex.recordings.near_duplicates import SIDE, clusters, near_pairs, thumbnail
from isocortex.recordings.paths import bind, check_relative, inside
from isocortex.recordings.shown_stimuli import shown, unique
from isocortex.recordings.tables import read_table
from isocortex.storage.images import ImageReader, image_digest
from isocortex.storage.sounds import SOUND_SUFFIXES, is_sound, read_sound, sound_digest

# Sets that are made, not read.
STIMULI = {
    "simulated": "isocortex.recordings.simulated:make_stimuli",
    "digits": "isocortex.recordings.networks:make_stimuli",
    "nsd": "isocortex.recordings.nsd_stimuli:make_stimuli",
    "patterns": "isocortex.recordings.shown_patterns:make_stimuli",
}
COLUMNS = ("stimulus_id", "digest", "near", "path", "row", "caption")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})


def make_table(entry: Mapping[str, Any], root: Path, where: str) -> pd.DataFrame:
    """The table of one stimulus set, one row per stimulus in the set's order.

    Parameters
    ----------
    entry : {n, ids: {path, key}, images: {path[, key]}, table: {path, id[, image, caption, labels]}, simulated: {…}},
        {n, numbered: true} for ids from 1 to n, or {n, crossed: {label: levels}} for all combinations of the labels' levels,
        or {n, conditions: {name: {label: value}}}, or {n, patterns: {files, shape}} for squares of 0 and 1 in tables.
    root : the data set's folder.
    where : names the set in messages.

    Returns
    -------
    Columns `stimulus_id digest near path row caption`, then label columns. `near` is the first stimulus that shows nearly the
    same picture, "" where no other does; of sets that are made it is not looked for.

    The order is that of the CSV table, else of the ids, else
    of the images (by name in a folder or archive, by row in an array); of crossed levels the last label's change first.

    Raises
    ------
    DataError for ids that repeat, images that are missing, or another number of stimuli than `n`.
    """
    for kind in STIMULI:
        if entry.get(kind) is not None:
            return check_table(bind(STIMULI, kind, where)(entry, root), entry.get("n"), where)
    images = _images(entry["images"], root, where) if entry.get("images") else None
    if entry.get("table"):
        table = _from_csv(entry["table"], images, root, where)
    elif entry.get("shown"):
        table = _from_shown(entry["shown"], images, root, where)
    elif entry.get("conditions"):
        table = _conditions(entry["conditions"], where)
    elif entry.get("crossed"):
        table = _crossed(entry["crossed"], where)
    elif entry.get("numbered"):
        width = len(str(entry["n"]))
        table = _blank([str(k + 1).zfill(width) for k in range(entry["n"])], [""] * entry["n"], [-1] * entry["n"])
    else:
        table = _from_ids(entry.get("ids"), images, root, where)
    table = check_table(table, entry.get("n"), where)
    table["digest"], table["near"] = _seen(table, root, where)
    return table


def check_table(table: pd.DataFrame, n: int | None, where: str) -> pd.DataFrame:
    """`table` with its columns in order and typed; a `DataError` where ids repeat or are empty, or `n` is another."""
    table = table if "near" in table else table.assign(near="")
    table = pd.DataFrame({name: table[name].to_numpy() for name in (*COLUMNS, *table.columns.difference(COLUMNS, sort=False))})
    table = table.astype({"stimulus_id": str, "digest": str, "near": str, "path": str, "row": "int64", "caption": str})
    ids = table["stimulus_id"].tolist()
    if n is not None and len(table) != n:
        raise DataError(f"{where}: found {len(table)} stimuli, expected {n}; correct n, or the files")
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise DataError(
            f"{where}: {len(repeated)} stimulus ids occur twice (first {repeated[0]!r}), expected unique ids; correct them"
        )
    if "" in ids:
        raise DataError(f"{where}: the stimulus id of row {ids.index('')} is empty, expected text; fill it in")
    return table


def _seen(table: pd.DataFrame, root: Path, where: str) -> tuple[list[str], list[str]]:
    """Digest of each decoded image or sound, so that one under two names is known as the same, and the id of the first that is
    nearly the same picture; "" without."""
    digests, greys = [], np.zeros((len(table), SIDE, SIDE), dtype=np.float32)  # without contrast: in no pair
    try:
        with ImageReader(root) as reader:
            for place, (path, row) in enumerate(zip(table["path"], table["row"], strict=True)):
                if not path or is_sound(path):
                    digests.append(sound_digest(*read_sound(root, path)) if path else "")
                    continue
                picture = reader.read(path, int(row))
                digests.append(image_digest(picture))
                greys[place] = thumbnail(picture)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    ids = table["stimulus_id"].tolist()
    return digests, ["" if first < 0 else ids[first] for first in clusters(len(ids), near_pairs(greys))]


def _blank(ids: list[str], paths: list[str], rows: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"stimulus_id": ids, "digest": "", "near": "", "path": paths, "row": rows, "caption": ""})


def _conditions(given: Mapping[str, Mapping[str, Any] | None], where: str) -> pd.DataFrame:
    """A stimulus per condition that the entry names, with its labels."""
    table = _blank(list(given), [""] * len(given), [-1] * len(given))
    for label in dict.fromkeys(label for labels in given.values() for label in labels or {}):
        _check_label(label, where)
        table[label] = [(labels or {})[label] for labels in given.values()]
    return table


def _check_label(label: str, where: str) -> None:
    if label in COLUMNS:
        raise DataError(f"{where}: a label is called {label!r}, which is a column of every table; rename it")


def _crossed(levels: Mapping[str, Sequence[float]], where: str) -> pd.DataFrame:
    """A stimulus per combination of levels: its id tells them, and a column per label holds them."""
    for label in levels:
        _check_label(label, where)
    rows = list(itertools.product(*levels.values()))
    names = ["_".join(f"{label}_{level:g}" for label, level in zip(levels, row, strict=True)) for row in rows]
    table = _blank(names, [""] * len(rows), [-1] * len(rows))
    for place, label in enumerate(levels):
        table[label] = np.asarray([row[place] for row in rows], dtype=np.float64)
    return table


def _images(place: Mapping[str, Any], root: Path, where: str) -> pd.DataFrame:
    """Name, path and row of every image of a folder, an archive or an array."""
    path, where = place["path"], f"{where}, images"
    file = inside(root, path, where)
    if file.is_dir() and file.suffix != ".zarr":
        names = [item.relative_to(file).as_posix() for item in file.rglob("*") if item.is_file()]
        paths = {name: f"{path}/{name}" for name in names}
    elif file.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(file) as archive:
                names = [item.filename for item in archive.infolist() if not item.is_dir()]
        except zipfile.BadZipFile as error:
            raise DataError(f"{where}: {path} is not a readable zip archive ({error}); replace it") from error
        for name in names:
            check_relative(name, f"{where}, {path}")
        paths = {name: f"{path}!{name}" for name in names}
    else:
        n = open_response(root, path, place.get("key"), where).shape[0]  # none of the pictures is read for it
        key = f"!{place['key']}" if place.get("key") else ""
        return pd.DataFrame({"name": [str(i) for i in range(n)], "path": f"{path}{key}", "row": np.arange(n)})
    shown = [name for name in names if not _hidden(name)]
    # Sounds are the stimuli where there is no image.
    of = lambda suffixes: sorted(name for name in shown if PurePosixPath(name).suffix.lower() in suffixes)
    kept = of(IMAGE_SUFFIXES) or of(SOUND_SUFFIXES)
    if not kept:
        raise DataError(f"{where}: {path} holds no image, expected {', '.join(sorted(IMAGE_SUFFIXES))}, or .wav")
    return pd.DataFrame({"name": kept, "path": [paths[name] for name in kept], "row": -1})


def _hidden(name: str) -> bool:
    """Resource forks and hidden files, which archivers leave behind."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _from_ids(place: Mapping[str, Any] | None, images: pd.DataFrame | None, root: Path, where: str) -> pd.DataFrame:
    """Ids from an array, or the images' own names without suffix."""
    if place is None:
        if images is None:
            raise DataError(f"{where}: neither ids, images nor table are given; give one")
        return _blank([PurePosixPath(name).stem for name in images["name"]], list(images["path"]), list(images["row"]))
    ids = as_text(read_array(root, place["path"], place.get("key") or place.get("column"), f"{where}, ids"))
    if ids.ndim != 1:
        raise DataError(f"{where}, ids: found an array of shape {ids.shape}, expected one dimension")
    if images is None:
        return _blank(ids.tolist(), [""] * len(ids), [-1] * len(ids))
    if len(images) != len(ids):
        raise DataError(f"{where}: found {len(images)} images and {len(ids)} ids, expected as many of both")
    return _blank(ids.tolist(), list(images["path"]), list(images["row"]))


def _from_csv(spec: Mapping[str, Any], images: pd.DataFrame | None, root: Path, where: str) -> pd.DataFrame:
    """Ids, captions and labels from columns; an image by the name that its column holds, else by its row."""
    path, where = spec["path"], f"{where}, table"
    file = inside(root, path, where)
    labels = list(spec.get("labels") or [])
    for label in labels:
        _check_label(label, where)
    # Ids and captions stay as they stand (007 is not 7); labels keep their numbers.
    text = {column: str for column in (spec["id"], spec.get("image"), spec.get("caption")) if column}
    csv = read_table(file, where, dtype=text)
    for column in [*text, *labels]:
        if column not in csv.columns:
            raise DataError(f"{where}: {path} has no column {column!r}, found {', '.join(map(str, csv.columns))}")
    table = _blank(csv[spec["id"]].fillna("").tolist(), [""] * len(csv), [-1] * len(csv))
    if spec.get("caption"):
        table["caption"] = csv[spec["caption"]].fillna("")
    if images is not None:
        names = csv[spec["image"]].fillna("").tolist() if spec.get("image") else None
        table["path"], table["row"] = _match(names, images, len(csv), where)
    elif spec.get("image"):
        table["path"] = [check_relative(name, where) for name in csv[spec["image"]].fillna("")]
    for label in labels:
        column = csv[label]
        table[label] = column.fillna("") if not pd.api.types.is_numeric_dtype(column) else column
    return table


def _from_shown(spec: Mapping[str, Any], images: pd.DataFrame | None, root: Path, where: str) -> pd.DataFrame:
    """Every image of a list of trials, once; its picture by the name in the list."""
    listed = unique(shown(spec, root, where), spec.get("labels") or [], where)
    table = _blank(listed["stimulus_id"].tolist(), [""] * len(listed), [-1] * len(listed))
    if images is not None:
        table["path"], table["row"] = _match(listed["file"].tolist(), images, len(listed), where)
    for label in spec.get("labels") or []:
        table[label] = listed[label].to_numpy()
    return table


def _match(names: list[str] | None, images: pd.DataFrame, n: int, where: str) -> tuple[list[str], list[int]]:
    """Path and row of the image of each stimulus: by name (or its last part), or in order where the table names none."""
    if names is None:
        if len(images) != n:
            raise DataError(
                f"{where}: found {len(images)} images and {n} rows, expected as many of both; or name the images in a column"
            )
        return list(images["path"]), list(images["row"])
    known = {name: index for index, name in enumerate(images["name"])}
    last = {PurePosixPath(name).name: index for name, index in known.items()}
    rows = [known.get(name, last.get(PurePosixPath(name).name, -1)) for name in names]
    if -1 in rows:
        missing = names[rows.index(-1)]
        raise DataError(
            f"{where}: the image {missing!r} is not among the {len(images)} images; correct the table, or add the file"
        )
    return [images["path"].iloc[row] for row in rows], [int(images["row"].iloc[row]) for row in rows]
