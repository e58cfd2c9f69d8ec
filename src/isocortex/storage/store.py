"""Zarr stores that can be resumed and cannot lie.

A store is a Zarr v3 directory `<name>.zarr` beside a sidecar `<name>.json`. The sidecar is the file that Snakemake sees:
it is written last and carries the recipe, the shapes and a checksum per file. A journal (`<name>.journal`, one line per
finished block) says what is already there, so that a killed job goes on where it stopped.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec
from zarr.errors import UnstableSpecificationWarning

from isocortex.errors import StoreError
from isocortex.storage.atomic import digest_file, digest_json, read_json, replacing, write_json
from isocortex.storage.donor import Donor
from isocortex.storage.journal import discard, journal_path, note, read_journal, without

FORMAT = 1


def store_path(sidecar: Path | str) -> Path:
    """The Zarr directory that belongs to a sidecar."""
    return Path(sidecar).with_suffix(".zarr")


def rebuild_hint(sidecar: Path | str) -> str:
    """The command that rebuilds one store, for error messages."""
    return f"rebuild it with: snakemake -f -- {sidecar} (with the --configfile of your study)"


class Store:
    """A finished store, read with its checksums verified.

    Raises `StoreError` where the sidecar or the directory is missing, a file is missing or differs from its checksum, or the
    recipe is not the expected one.
    """

    def __init__(self, sidecar: Path | str, recipe: Any = None) -> None:
        self.path, self.directory = Path(sidecar), store_path(sidecar)
        if not self.path.exists():
            raise StoreError(f"{self.path}: missing, so its store is incomplete or was never made; {rebuild_hint(self.path)}")
        self.sidecar: dict[str, Any] = read_json(self.path)
        if not isinstance(self.sidecar, dict) or "files" not in self.sidecar:
            raise StoreError(f"{self.path}: not a sidecar of a store (no 'files'); {rebuild_hint(self.path)}")
        if recipe is not None and self.sidecar.get("recipe") != json.loads(json.dumps(recipe)):
            raise StoreError(f"{self.path}: made with another recipe than this study asks for; {rebuild_hint(self.path)}")
        if not self.directory.is_dir():
            raise StoreError(f"{self.directory}: missing although its sidecar is there; {rebuild_hint(self.path)}")
        self._verified: set[str] = set()
        self._opened: dict[str, zarr.Array[Any]] = {}

    def verify(self, prefix: str = "") -> None:
        """Check the SHA-256 of every file whose name starts with `prefix`."""
        for name, expected in self.sidecar["files"].items():
            if not name.startswith(prefix) or name in self._verified:
                continue
            file = self.directory / name
            if not file.is_file():
                raise StoreError(f"{file}: missing from its store; {rebuild_hint(self.path)}")
            found = digest_file(file)
            if found != expected:
                raise StoreError(
                    f"{file}: corrupt, checksum is {found[:12]}…, expected {expected[:12]}…; {rebuild_hint(self.path)}"
                )
            self._verified.add(name)

    @property
    def groups(self) -> dict[str, dict[str, Any]]:
        """Attributes of each group by group name ('000', '001', …)."""
        return self.sidecar.get("groups", {})

    def array(self, group: str, name: str) -> zarr.Array[Any]:
        """A verified Zarr array; index it with [...] or with a slice of rows."""
        key = f"{group}/{name}" if group else name
        if key in self._opened:
            return self._opened[key]
        self.verify(f"{key}/")
        try:
            found = zarr.open_group(self.directory, mode="r", zarr_format=3)[key]
        except KeyError as error:
            raise StoreError(f"{self.directory}: holds no array {key!r}; {rebuild_hint(self.path)}") from error
        if not isinstance(found, zarr.Array):
            raise StoreError(f"{self.directory}: {key!r} is not an array; {rebuild_hint(self.path)}")
        self._opened[key] = found
        return found

    def read(self, group: str, name: str, rows: slice = slice(None)) -> np.ndarray:
        """Rows of a verified array as NumPy."""
        return np.asarray(self.array(group, name)[rows])


class StoreWriter:
    """Writes a store block by block, resuming what an earlier job with the same recipe left.

    Parameters
    ----------
    sidecar : the JSON file that declares the store whole; its store is `sidecar.with_suffix('.zarr')`.
    recipe : JSON-able; a store of another recipe is discarded.
    rows : one key per row of the arrays (say, stimulus digests). A store of the same recipe with other rows is kept aside as
        `donor` until `finish`.
    """

    def __init__(self, sidecar: Path | str, recipe: Any, rows: Sequence[str] = ()) -> None:
        self.sidecar, self.directory = Path(sidecar), store_path(sidecar)
        self.recipe, self.rows = json.loads(json.dumps(recipe)), list(rows)
        self.donor: Donor | None = None
        self._done: dict[str, str] = {}
        self._checked: set[str] = set()
        self._arrays: dict[str, zarr.Array[Any]] = {}
        self.sidecar.parent.mkdir(parents=True, exist_ok=True)
        self.sidecar.unlink(missing_ok=True)
        self._adopt()
        self.root = zarr.open_group(self.directory, mode="a", zarr_format=3)
        if not journal_path(self.directory).exists():
            note(self.directory, {"recipe": self.recipe, "rows": self.rows, "format": FORMAT})

    def _adopt(self) -> None:
        """Keep what is there if recipe and rows match; else make it a donor, or discard it."""
        aside = _aside(self.directory)
        (head, done), (earlier, theirs) = read_journal(self.directory), read_journal(aside)
        if head is None or head.get("recipe") != self.recipe or head.get("format") != FORMAT:
            discard(self.directory)
        elif (
            head.get("rows") != self.rows
            and earlier is not None
            and earlier.get("recipe") == self.recipe
            and len(theirs) > len(done)
        ):
            discard(self.directory)  # hardly begun when its rows changed again: what was aside before has more
        elif head.get("rows") != self.rows:
            discard(aside)
            self.directory.rename(aside)
            journal_path(self.directory).rename(journal_path(aside))
        else:
            self._done = done
            # What a killed job was writing lies under another name, and belongs to nothing.
            for torn in self.directory.rglob("*.partial"):
                torn.unlink()
        head, done = read_journal(aside)
        if head is not None and head.get("recipe") == self.recipe and head.get("format") == FORMAT:
            self.donor = Donor(aside, head["rows"], done)
        else:
            discard(aside)

    def group(self, name: str, **attributes: Any) -> None:
        """Make a group (or refresh its attributes)."""
        group = self.root.require_group(name)
        group.update_attributes(attributes)

    def create(self, group: str, name: str, shape: Sequence[int], dtype: str, rows_per_chunk: int, dims: Sequence[str]) -> None:
        """Make an array, chunked by rows; one that is there with the same shape and type is kept."""
        where = self.root.require_group(group) if group else self.root
        if name in where:
            there = where[name]
            if isinstance(there, zarr.Array) and there.shape == tuple(shape) and there.dtype == np.dtype(dtype):
                return
            self.drop(group, name)
        chunks = (max(1, min(rows_per_chunk, shape[0])), *[max(1, size) for size in shape[1:]])
        where.create_array(
            name=name,
            shape=tuple(shape),
            dtype=dtype,
            chunks=chunks,
            compressors=ZstdCodec(level=1),
            dimension_names=list(dims),
        )

    def drop(self, group: str, name: str) -> None:
        """Take an array out, to be made anew; the journal knows before the first file goes."""
        key = _key(group, name)
        note(self.directory, {"dropped": key})
        self._done = without(self._done, key)
        self._arrays.pop(key, None)
        del self.root[key]

    def find(self, group: str, name: str) -> zarr.Array[Any] | None:
        """An array as it is by now; None where it was not made yet."""
        key = _key(group, name)
        if key not in self._arrays:
            found = self.root.get(key)
            if not isinstance(found, zarr.Array):
                return None
            self._arrays[key] = found
        return self._arrays[key]

    def _array(self, group: str, name: str) -> zarr.Array[Any]:
        found = self.find(group, name)
        if found is None:
            raise StoreError(f"{self.directory}: {_key(group, name)} is not an array; delete the store and run again")
        return found

    def _chunk_files(self, group: str, name: str, start: int, stop: int) -> list[str]:
        array = self._array(group, name)
        step, rest = array.chunks[0], "/0" * (array.ndim - 1)
        return [f"{_key(group, name)}/c/{index}{rest}" for index in range(start // step, (stop + step - 1) // step)]

    def has(self, group: str, name: str, start: int, stop: int) -> bool:
        """Whether rows `start:stop` were written before and their chunks still have their checksums (checked once)."""
        if self.find(group, name) is None:
            return False
        return all(self._is_whole(file) for file in self._chunk_files(group, name, start, stop))

    def _is_whole(self, file: str) -> bool:
        if file not in self._done:
            return False
        if file not in self._checked:
            path = self.directory / file
            if not path.is_file() or digest_file(path) != self._done[file]:
                return False
            self._checked.add(file)
        return True

    def write(self, group: str, name: str, start: int, values: np.ndarray) -> None:
        """Write rows from `start` (a chunk boundary) and note their checksums."""
        # A chunk of zeros must be written too: one left out could not be told from one that was lost.
        with zarr.config.set({"array.write_empty_chunks": True}):
            self._array(group, name)[start : start + len(values)] = values
        for file in self._chunk_files(group, name, start, start + len(values)):
            self._done[file] = digest_file(self.directory / file)
            self._checked.add(file)
            note(self.directory, {"file": file, "sha256": self._done[file]})

    def read(self, group: str, name: str) -> np.ndarray:
        """An array that was written."""
        return np.asarray(self._array(group, name)[:])

    def take(self, group: str, name: str, rows: Sequence[int]) -> np.ndarray:
        """Some rows (k, …) of an array, each chunk read once."""
        array: Any = self._array(group, name)
        return np.asarray(array.oindex[list(rows)])

    def took(self, computed: int, seconds: float) -> None:
        """Note how long it took to compute rows. The sidecar does not know: equal stores have equal ones."""
        note(self.directory, {"computed": computed, "seconds": seconds})

    def finish(self, **extra: Any) -> None:
        """Declare the store whole: write the sidecar, drop the donor."""
        groups = {name: dict(group.attrs) for name, group in sorted(self.root.groups())}
        write_sidecar(self.sidecar, self.recipe, groups=groups, **extra)
        discard(_aside(self.directory))


def stored_recipe(sidecar: Path | str) -> dict[str, Any] | None:
    """The recipe of what lies at a sidecar's place, finished or not; None where nothing does that could be resumed."""
    head, _ = read_journal(store_path(sidecar))
    return head["recipe"] if head is not None and head.get("format") == FORMAT else None


def _key(group: str, name: str) -> str:
    return f"{group}/{name}" if group else name


def _aside(directory: Path) -> Path:
    """Where a store of other rows waits."""
    return directory.with_name(f".{directory.stem}.old.zarr")


def write_sidecar(sidecar: Path | str, recipe: Any, **extra: Any) -> None:
    """Write the sidecar of a finished store: recipe, a checksum per file, a digest of all of them, and `extra`."""
    directory = store_path(sidecar)
    files = {
        file.relative_to(directory).as_posix(): digest_file(file) for file in sorted(directory.rglob("*")) if file.is_file()
    }
    write_json(sidecar, {"format": FORMAT, "recipe": recipe, "digest": digest_json(files), "files": files, **extra})


def write_dataset_store(dataset: Any, sidecar: Path | str, recipe: Any, **extra: Any) -> None:
    """Write an `xarray.Dataset` as a store (atomically) and its sidecar (last)."""
    Path(sidecar).unlink(missing_ok=True)
    directory = store_path(sidecar)
    with replacing(directory) as temporary, warnings.catch_warnings():
        # Strings have no Zarr v3 specification yet; xarray reads back what it wrote, which is all that is needed here.
        warnings.filterwarnings("ignore", category=UnstableSpecificationWarning)
        shutil.rmtree(directory, ignore_errors=True)
        dataset.to_zarr(temporary, mode="w", zarr_format=3, consolidated=False)
    write_sidecar(sidecar, recipe, **extra)


def read_dataset_store(sidecar: Path | str, recipe: Any = None) -> Any:
    """Read a store that holds one `xarray.Dataset`, every checksum verified; the data are loaded."""
    import xarray

    store = Store(sidecar, recipe)
    store.verify()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UnstableSpecificationWarning)
        with xarray.open_zarr(store.directory, zarr_format=3, consolidated=False) as dataset:
            return dataset.load()
