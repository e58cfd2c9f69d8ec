"""Where names stand in a figure, so that none covers another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

SIDE, CHARACTER, LINE = 400, 6.6, 14  # pixels: of a panel with names, of a letter, of a line
WRITTEN = 40  # names written beside nodes at most
RINGS = (10, 16, 24)  # pixels between a point and its name
_SIDES = (
    (1.0, 0.0, "left"),
    (-1.0, 0.0, "right"),
    (0.0, 1.3, "center"),
    (0.0, -1.3, "center"),
    (0.7, 0.7, "left"),
    (0.7, -0.7, "left"),
    (-0.7, 0.7, "right"),
    (-0.7, -0.7, "right"),
)
_SHIFT = {"left": 0.0, "right": 1.0, "center": 0.5}
Box = tuple[float, float, float, float]


def apart(wanted: Sequence[float], gap: float) -> np.ndarray:
    """Heights as near to those wanted as can be with `gap` between neighbours, in the same order; for names beside lines."""
    order = np.argsort(wanted, kind="stable")
    groups: list[list[float]] = []  # sum of (height wanted less its place in the group), number
    for value in np.asarray(wanted, float)[order]:
        groups.append([value, 1])
        while len(groups) > 1 and _start(groups[-2]) + groups[-2][1] * gap > _start(groups[-1]) + 1e-9:
            total, n = groups.pop()
            groups[-1] = [groups[-1][0] + total - n * groups[-1][1] * gap, groups[-1][1] + n]
    placed = [_start(group) + gap * place for group in groups for place in range(int(group[1]))]
    found = np.empty(len(placed))
    found[order] = placed
    return found


def _start(group: list[float]) -> float:
    """Where a group of names begins, so that the squares of their moves are least."""
    return group[0] / group[1]


def free_places(
    pixels: np.ndarray, room: tuple[float, float], order: Sequence[int], names: Sequence[str]
) -> list[tuple[int, tuple[float, float], str]]:
    """Node, place and alignment of the names that overlap no node, no other name and no border, in the order given.

    room : size of nodes and height of the panel in pixels.
    """
    half = room[0] / 2 + 1
    taken = np.concatenate([pixels - half, pixels + half], axis=1)
    found = []
    for node in dict.fromkeys(order):
        if len(found) == WRITTEN:
            break
        (x, y), wide = pixels[node], CHARACTER * len(names[node])
        away = half + 2
        tries = (
            (x + away, y, "left", x + away),
            (x - away, y, "right", x - away - wide),
            (x, y + away + LINE / 2, "center", x - wide / 2),
            (x, y - away - LINE / 2, "center", x - wide / 2),
        )
        for across, up, anchor, start in tries:
            box = np.array([start, up - LINE / 2, start + wide, up + LINE / 2])
            inside = box.min() >= 0 and box[2] <= SIDE and box[3] <= room[1]
            free = (taken[:, 0] >= box[2]) | (taken[:, 2] <= box[0]) | (taken[:, 1] >= box[3]) | (taken[:, 3] <= box[1])
            if inside and free.all():
                taken = np.vstack([taken, box])
                found.append((int(node), (float(across), float(up)), anchor))
                break
    return found


def placed(
    points: Sequence[np.ndarray], names: Sequence[str], marks: np.ndarray, lines: np.ndarray
) -> list[tuple[float, float, str] | None]:
    """Place and alignment of every name beside one of its points (k, 2), the first if it can be; None where none is free.

    Of the places around the points the one that covers the least of `lines` (m, 2) is taken, near ones first; no name
    covers another or any of `marks` (l, 2), or leaves the panel.
    """
    boxes: list[Box] = []
    found: list[tuple[float, float, str] | None] = []
    for places, name in zip(points, names, strict=True):
        tries = [
            (place / 2 + ring / 20 + 2 * _within(box, lines, 7), spot, box)
            for place, point in enumerate(places)
            for ring in RINGS
            for spot, box in _around(point, ring, CHARACTER * len(name))
            if min(box) >= 2 and max(box) <= SIDE - 2 and not _within(box, marks, 4)
        ]
        free = [one for one in tries if not any(_overlap(one[2], other) for other in boxes)]
        if not free:
            found.append(None)
            continue
        _, spot, box = min(free, key=lambda one: one[0])
        boxes.append(box)
        found.append(spot)
    return found


def _around(point: np.ndarray, ring: float, wide: float) -> Iterator[tuple[tuple[float, float, str], Box]]:
    """Places of a name around a point, with the boxes it fills there."""
    for across, up, anchor in _SIDES:
        x, y = float(point[0] + ring * across), float(point[1] + ring * up)
        start = x - wide * _SHIFT[anchor]
        yield (x, y, anchor), (start, y - LINE / 2, start + wide, y + LINE / 2)


def _within(box: Box, points: np.ndarray, margin: float) -> int:
    """How many points lie in a box or nearer to it than the margin."""
    low, high = np.array(box[:2]) - margin, np.array(box[2:]) + margin
    return int(((points > low) & (points < high)).all(axis=1).sum())


def _overlap(a: Box, b: Box) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])
