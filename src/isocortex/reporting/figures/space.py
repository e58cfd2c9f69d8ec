"""All regions of all subjects: the matrix of their distances, and a map of each distance."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from isocortex.reporting.drawing import (
    ACCENT,
    CEILING,
    INK,
    MUTED,
    NULL,
    PAPER,
    RULE,
    SECOND,
    THIRD,
    Canvas,
    Drawing,
    axes,
    canvas,
    finish,
)
from isocortex.reporting.figures.region_identification import CHARACTER, label_places
from isocortex.reporting.formatting import listing, number, percent, plural, shorten
from isocortex.reporting.space import METRICS, Space

WIDTH, TOP, GAP, LONGEST = 944, 34, 30, 16
LEAST_CELL, LARGEST_CELL, NAME = 9.0, 30.0, 6.2  # pixels; of a letter of a tick
MAP_HEIGHT, SMALL = 520, 0.82  # of names on a map, relative to those that `label_places` knows
MOST_LINES = 120
COLOURS = (ACCENT, SECOND, THIRD, CEILING, INK, NULL)


def space_figures(space: Space) -> list[Drawing]:
    """A matrix and a map for each distance; no map where fewer than three systems have all distances."""
    found = []
    for metric in space.metrics:
        found += [matrix_figure(space, metric), map_figure(space, metric)]
    return [drawing for drawing in found if drawing is not None]


# --- matrix ------------------------------------------------------------------------------------------------------------


def by_region(space: Space) -> list[int]:
    """Systems with those of one region side by side, regions in the study's order."""
    names = list(dict.fromkeys(space.regions))
    return sorted(range(len(space.regions)), key=lambda place: names.index(space.regions[place]))


def matrix_figure(space: Space, metric: str) -> Drawing:
    """Distances of all pairs; on the diagonal how far a system is from itself."""
    order = by_region(space)
    names = [shorten(space.names[k], LONGEST) for k in order]
    values = space.values(metric, "distance")[np.ix_(order, order)].copy()
    drawn = space.values(metric, "drawn")[np.ix_(order, order)]
    np.fill_diagonal(values, space.values(metric, "self_blocked")[order])
    left = 18 + NAME * max(map(len, names))
    cell = float(np.clip((WIDTH - left - 60) / len(names), LEAST_CELL, LARGEST_CELL))
    cell = min(cell, 620 / len(names)) if len(names) * LEAST_CELL < 620 else LEAST_CELL
    side = cell * len(names)
    sheet = canvas(left + side + 20, TOP + side + left + 44)
    ax = axes(sheet, left, TOP, side, side)
    known = values[np.isfinite(values)]
    limits = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    image = ax.imshow(values, cmap="cividis", vmin=limits[0], vmax=limits[1], interpolation="none")
    _not_apart(ax, values, drawn)
    _borders(ax, [space.regions[k] for k in order])
    size = float(np.clip(cell * 0.85, 7.0, 10.5))
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    ax.set_yticks(range(len(names)), names, fontsize=size)
    ax.tick_params(left=False, bottom=False, pad=3)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(space.title(metric), color=INK, fontsize=11)
    _scale(sheet, image, left, TOP + side + left + 14)
    caption = (
        f"Distances by {METRICS.get(metric, metric)}, at equal numbers of trials and units per pair, sorted by region. On the "
        "diagonal: how far a system is from itself, between halves of alternating stretches. A dot: no farther apart than "
        "either is from itself, so that nothing is known of this distance. Empty: too few conditions in common."
    )
    share = percent(space.of(metric, "drawn").mean()) if len(space.of(metric, "drawn")) else "none"
    about = f"Distances of {plural(len(names), 'system')}; {share} of the pairs are farther apart than either is from itself"
    return finish(sheet, f"space-matrix-{metric}", caption, about)


def _not_apart(ax: Axes, values: np.ndarray, drawn: np.ndarray) -> None:
    rows, columns = np.nonzero(~drawn & np.isfinite(values) & ~np.eye(len(values), dtype=bool))
    # As one collection: a page need not hold every dot as a figure of its own.
    ax.scatter(columns, rows, s=5, color=PAPER, edgecolors=INK, linewidths=0.5, zorder=3)


def _borders(ax: Axes, regions: list[str]) -> None:
    for place in range(1, len(regions)):
        if regions[place] != regions[place - 1]:
            ax.axhline(place - 0.5, color=PAPER, linewidth=1.6)
            ax.axvline(place - 0.5, color=PAPER, linewidth=1.6)


def _scale(sheet: Canvas, image: AxesImage, left: float, top: float) -> None:
    bar = sheet.figure.colorbar(image, cax=axes(sheet, left, top, 170, 8), orientation="horizontal")
    bar.ax.tick_params(length=0, labelsize=9.5)
    bar.ax.set_title("distance", color=MUTED, fontsize=10)
    bar.outline.set_visible(False)


# --- map ---------------------------------------------------------------------------------------------------------------


def map_figure(space: Space, metric: str) -> Drawing | None:
    """Systems as points whose distances are as near to theirs as two dimensions allow."""
    places = space.values(metric, "coordinates")
    kept = np.flatnonzero(np.isfinite(places).all(axis=1))
    if len(kept) < 3 or not np.ptp(places[kept], axis=0).any():
        return None
    points, names = places[kept], [shorten(space.names[k], 22) for k in kept]
    apart = np.asarray(space.values(metric, "drawn")[kept].any(axis=1))
    groups = [space.individuals[k] or space.subjects[k] for k in kept]
    known = list(dict.fromkeys(groups))
    colours = {name: COLOURS[k] if len(known) <= len(COLOURS) else ACCENT for k, name in enumerate(known)}
    key = 26 if 1 < len(known) <= len(COLOURS) else 0
    low, high = points.min(axis=0), points.max(axis=0)
    room = 60 + 2 * CHARACTER * SMALL * max(map(len, names))
    scale = max((high - low) / (WIDTH - room, MAP_HEIGHT - 90))
    height = max(160.0, (high - low)[1] / scale + 90)
    sheet = canvas(WIDTH, height + key)
    ax = axes(sheet, 8, 8 + key, WIDTH - 16, height - 16)
    middle, half = (low + high) / 2, scale * np.array([WIDTH - 16, height - 16]) / 2
    ax.set_xlim(middle[0] - half[0], middle[0] + half[0])
    ax.set_ylim(middle[1] - half[1], middle[1] + half[1])
    lines = _joined(space.values(metric, "drawn")[np.ix_(kept, kept)])
    for i, j in lines:
        ax.plot(points[[i, j], 0], points[[i, j], 1], color=RULE, linewidth=0.8, zorder=1)
    offsets = label_places((points - middle) / scale / SMALL, names)
    for k, ((x, y), (dx, dy, anchor)) in enumerate(zip(points, offsets, strict=True)):
        colour = colours[groups[k]]
        style = {"markerfacecolor": colour if apart[k] else PAPER, "markeredgecolor": colour, "markersize": 7}
        ax.plot([x], [y], "o", **style, gid=sheet.tip(f"{names[k]}\n{groups[k]}"), zorder=2)
        shift = (dx * SMALL, dy * SMALL)
        ax.annotate(
            names[k], (x, y), shift, textcoords="offset points", color=INK, fontsize=10, ha=anchor, va="center", zorder=3
        )
    _frame(ax)
    if key:
        _key(sheet, colours)
    left_out = [space.names[k] for k in range(len(places)) if k not in kept]
    caption = (
        f"Map of the regions by {METRICS.get(metric, metric)}: classical scaling of the distances, of whose variance the two "
        f"axes show {percent(float(space.values(metric, 'shown')))}. "
        + ("A line joins two that are farther apart than either is from itself. " if lines else "")
        + "Hollow: apart from no other system by more than from "
        f"itself, so that its place means nothing. Colour: {'individual' if any(space.individuals) else 'subject'}."
        + (f" Left out, because a distance is missing: {listing(left_out)}." if left_out else "")
    )
    about = f"Map of {listing(names[:20])}; a unit of its scale is {number(scale * 100, 2)} per 100 pixels"
    return finish(sheet, f"space-map-{metric}", caption, about)


def _joined(drawn: np.ndarray) -> list[tuple[int, int]]:
    """Pairs that are farther apart than either is from itself; none where they are too many to be seen."""
    pairs = [(int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(drawn)), strict=True)]
    return pairs if len(pairs) <= MOST_LINES else []


def _frame(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color(RULE)


def _key(sheet: Canvas, colours: dict[str, str]) -> None:
    width, height = sheet.figure.get_size_inches() * 72
    x = 10.0
    for name, colour in colours.items():
        shown = shorten(name, 18)
        sheet.figure.text(x / width, 1 - 14 / height, "●", color=colour, fontsize=11, va="center")
        sheet.figure.text((x + 14) / width, 1 - 14 / height, shown, color=INK, fontsize=11, va="center")
        x += 34 + 6.6 * len(shown)
