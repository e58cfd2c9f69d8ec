"""Which rows of a store of features are missing, and where each comes from: computed, copied, or the same as another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import zarr

from isocortex.storage.donor import Donor
from isocortex.storage.store import StoreWriter

Pair = tuple[str, str]  # a layer and one of its arrays


@dataclass(frozen=True)
class Block:
    """Rows start:stop, the arrays that lack them, and those rows that the model must be asked for."""

    start: int
    stop: int
    missing: tuple[Pair, ...]
    computed: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """The rows of a store under way. `whole`: the type in which arrays start."""

    writer: StoreWriter
    groups: dict[str, str]
    whole: str
    first: tuple[int, ...]

    def dtype(self, pair: Pair) -> str:
        """The type of an array by now."""
        found = self.writer.find(self.groups[pair[0]], pair[1])
        return self.whole if found is None else str(found.dtype)

    def has(self, pair: Pair, start: int, stop: int) -> bool:
        """Whether rows start:stop of an array are written."""
        return self.writer.has(self.groups[pair[0]], pair[1], start, stop)

    def donor(self, pair: Pair) -> Donor | None:
        """Where rows of an array may be copied from; numbers coarser than they are wanted are not."""
        donor, group = self.writer.donor, self.groups[pair[0]]
        if donor is None or (donor.dtype(group, pair[1]) == "float16" and self.dtype(pair) == "float32"):
            return None
        return donor

    def blocks(self, pairs: Sequence[Pair], step: int) -> list[Block]:
        """The blocks of `step` rows that lack something."""
        found = []
        for start in range(0, len(self.first), step):
            stop = min(len(self.first), start + step)
            missing = tuple(pair for pair in pairs if not self.has(pair, start, stop))
            if missing:
                fresh = [row for row in range(start, stop) if self.first[row] == row]
                given = self._given(missing, fresh)
                found.append(Block(start, stop, missing, tuple(row for row in fresh if row not in given)))
        return found

    def _given(self, missing: Sequence[Pair], rows: Sequence[int]) -> set[int]:
        """Those rows that are not computed, because the donor has all that is missing."""
        donors = {pair: self.donor(pair) for pair in missing}
        found = set(rows)
        for (layer, name), donor in donors.items():
            group = self.groups[layer]
            found = {row for row in found if donor is not None and donor.holds(group, name, self.writer.rows[row])}
        return found


def rows_of(writer: StoreWriter, layers: Sequence[str], whole: str) -> Rows:
    """The rows of a store in which `layers` have their groups."""
    first: dict[str, int] = {}
    for row, key in enumerate(writer.rows):
        first.setdefault(key, row)
    return Rows(writer, assign_groups(writer, layers), whole, tuple(first[key] for key in writer.rows))


def assign_groups(writer: StoreWriter, layers: Sequence[str]) -> dict[str, str]:
    """Layer → group name; a layer that the store (or its donor) holds keeps its group, a new one gets the next number."""
    known: dict[str, str] = {}
    for root in (writer.root, writer.donor.root if writer.donor else None):
        for name, group in sorted(root.groups()) if root is not None else ():
            known.setdefault(str(group.attrs.get("layer")), name)
    following = max([int(name) for name in known.values()], default=-1) + 1
    for layer in layers:
        if layer not in known:
            known[layer] = f"{following:03d}"
            following += 1
    return {layer: known[layer] for layer in layers}


def stored_layers(writer: StoreWriter) -> list[str]:
    """Layers that the store, or its donor, holds anything of."""
    roots = [writer.root, *([writer.donor.root] if writer.donor else [])]
    return list(dict.fromkeys(str(group.attrs["layer"]) for root in roots for _, group in sorted(root.groups())))


def rows_per_chunk(writer: StoreWriter) -> int | None:
    """Rows per chunk of the arrays that are there; None where there are none yet."""
    arrays: list[Any] = [array for _, group in writer.root.groups() for _, array in group.arrays()]
    found = [array.chunks[0] for array in arrays if isinstance(array, zarr.Array)]
    return min(found, default=None)
