"""How a layer of a network is named: a dotted path, `#k` for the k-th of several outputs, `@pool` for how it is pooled."""

from __future__ import annotations

from dataclasses import dataclass

POOLS = ("none", "gap", "mean", "cls", "last")

Pool = str | int


@dataclass(frozen=True)
class LayerName:
    """A name taken apart. path: of a module or tensor. output: k or None. pool: one of `POOLS`, the side of a grid, or None."""

    name: str
    path: str
    output: int | None = None
    pool: Pool | None = None


def parse_layer(name: str) -> LayerName:
    """The parts of `blocks.11@cls`, `encoder.layer.3#0@7` or `layer4.1.conv2`. Raises `ValueError` for what is no such name."""
    rest, at, suffix = name.rpartition("@")
    if at and suffix not in POOLS and not (suffix.isdecimal() and int(suffix) > 0):
        raise ValueError(
            f"found {name!r}, expected {' '.join('@' + pool for pool in POOLS)} or the side of a grid, as @7, after the path"
        )
    path, sharp, index = (rest if at else name).partition("#")
    if not path or (sharp and not index.isdecimal()):
        raise ValueError(
            f"found {name!r}, expected a path, and if it has several outputs the number of one, as encoder.layer.3#0"
        )
    pool = (int(suffix) if suffix.isdecimal() else suffix) if at else None
    return LayerName(name, path, int(index) if sharp else None, pool)
