"""Identification of regions: accuracy by number of stimuli, how like each other regions are, and their map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from isocortex.reporting.drawing import (
    ACCENT,
    CEILING,
    INK,
    MUTED,
    NULL,
    RULE,
    SECOND,
    THIRD,
    Canvas,
    Drawing,
    axes,
    canvas,
    finish,
)
from isocortex.reporting.formatting import interval, is_missing, listing, number, percent, shorten
from isocortex.reporting.region_identification import RegionIdentification

COLOURS = {"rsa": INK, "rsa_rank": NULL, "topology": SECOND, "geometry": THIRD, "trsa": ACCENT}
COLUMNS, WIDTH, PANEL, GAP, LEFT, TOP, FOOT, KEY = 4, 944, 210, 24, 52, 30, 46, 30
CELL, LEAST, SIDE, CHARACTER, LONGEST, WRITTEN = 46, 150, 380, 7.2, 18, 12
MAP_WIDTH, MAP_HEIGHT, DOT = 560, 400, 9.0


def region_identification_figures(found: RegionIdentification) -> list[Drawing]:
    """The curves, the matrix, and the map where there are three regions or more."""
    drawings = [curves_figure(found), matrix_figure(found), map_figure(found)]
    return [drawing for drawing in drawings if drawing is not None]


# --- curves ------------------------------------------------------------------------------------------------------------


def curves_figure(found: RegionIdentification) -> Drawing:
    """Accuracy against number of stimuli, one panel per level of noise, on one scale."""
    data = found.data
    levels = [float(level) for level in data["noise"].values]
    columns = min(COLUMNS, len(levels))
    lines = -(-len(levels) // columns)
    width = (WIDTH - LEFT - GAP * (columns - 1)) / columns if columns > 1 else 560.0
    height = TOP + PANEL + FOOT
    keys = LEFT + sum(_key_width(found, name) for name in found.statistics)
    sheet = canvas(max(LEFT + columns * width + GAP * (columns - 1) + 8, keys), KEY + lines * height)
    _key(sheet, found)
    for index, level in enumerate(levels):
        line, column = divmod(index, columns)
        ax = axes(sheet, LEFT + column * (width + GAP), KEY + TOP + line * height, width, PANEL)
        _panel(sheet, ax, found, index)
        ax.set_title(f"noise {level:g}" if len(levels) > 1 or level > 0 else "", color=INK)
        if column:
            ax.tick_params(labelleft=False)
        else:
            ax.set_ylabel("regions identified", fontsize=11.5)
    caption = (
        "Share of regions that are identified in a subject that was left out, by number of stimuli (random subsets, the same "
        f"for every statistic), with {found.confidence} interval over subjects. Dashed: chance."
    )
    best = data["accuracy"].isel(size=-1, noise=0)
    about = "; ".join(f"{found.label(name)} {percent(float(best.sel(statistic=name)))}" for name in found.statistics)
    return finish(
        sheet, "region-identification-curves", caption, f"Accuracy of identification at the last number of stimuli: {about}"
    )


def _key(sheet: Canvas, found: RegionIdentification) -> None:
    width, height = sheet.figure.get_size_inches() * 72
    x = LEFT
    for name in found.statistics:
        style = {"color": COLOURS.get(name, CEILING), "fontsize": 12, "va": "center"}
        sheet.figure.text(x / width, 1 - 12 / height, "●", **style)
        sheet.figure.text((x + 15) / width, 1 - 12 / height, found.label(name), **{**style, "color": INK})
        x += _key_width(found, name)


def _key_width(found: RegionIdentification, statistic: str) -> float:
    return 36 + 6.4 * len(found.label(statistic))


def _panel(sheet: Canvas, ax: Axes, found: RegionIdentification, noise: int) -> None:
    data = found.data.isel(noise=noise)
    sizes = data["size"].values
    ax.axhline(found.chance, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    step = 0.44 / max(1, len(found.statistics))
    for row, name in enumerate(found.statistics):
        cell = data.sel(statistic=name)
        x = np.arange(len(sizes)) + (row - (len(found.statistics) - 1) / 2) * step
        colour = COLOURS.get(name, CEILING)
        ax.plot(x, cell["accuracy"].values, color=colour, linewidth=1.6, zorder=2)
        for place, size in enumerate(sizes):
            value, low, high = (float(cell[key][place]) for key in ("accuracy", "low", "high"))
            if not is_missing(low):
                ax.plot([x[place], x[place]], [low, high], color=colour, linewidth=1.4, solid_capstyle="butt", zorder=3)
            tip = f"{found.label(name)}\n{size} stimuli\n{percent(value)} {interval(low, high, 2)}"
            ax.plot([x[place]], [value], "o", color=colour, markersize=5.5, zorder=4, gid=sheet.tip(tip), clip_on=False)
    ax.set_xlim(-0.5, len(sizes) - 0.5)
    ax.set_ylim(min(0.0, found.chance), 1.02)
    ax.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    ax.set_xlabel("stimuli", fontsize=11.5)


# --- matrix and map ----------------------------------------------------------------------------------------------------


def matrix_figure(found: RegionIdentification) -> Drawing:
    """Regions by regions: between subjects, and within a subject, where noise is shared."""
    between, within = (found.data[name].values for name in ("between", "within"))
    labels = [shorten(name, LONGEST) for name in found.regions]
    side = float(np.clip(CELL * len(labels), LEAST, SIDE))
    left = 24 + CHARACTER * max(map(len, labels))
    sheet = canvas(left + 2 * side + 2 * GAP + 30, TOP + side + left)
    known = np.concatenate([between.ravel(), within.ravel()])
    known = known[np.isfinite(known)]
    limits = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    for place, (title, values) in enumerate((("between subjects", between), ("within a subject: shared noise", within))):
        ax = axes(sheet, left + place * (side + GAP + 6), TOP, side, side)
        _heat(ax, values, labels, limits, title, named=place == 0)
    caption = (
        "Similarity of regions' RDMs (ρ-a), mean over subjects. Left: the two regions are of different subjects; on the "
        "diagonal the same region. Right: both are of one subject, whose trials they share, so that noise looks like "
        "likeness: no measure of it."
    )
    pairs = [
        f"{found.regions[a]} and {found.regions[b]} {number(between[a, b], 2)}"
        for a in range(len(labels))
        for b in range(a + 1, len(labels))
    ]
    return finish(sheet, "region-identification-matrix", caption, f"Similarity between subjects: {listing(pairs[:20])}")


def _heat(ax: Axes, values: np.ndarray, labels: list[str], limits: tuple[float, float], title: str, *, named: bool) -> None:
    ax.imshow(values, cmap="cividis", vmin=limits[0], vmax=limits[1], interpolation="none")
    middle, places = sum(limits) / 2, range(len(labels))
    if len(labels) <= WRITTEN:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                style = {"color": "#ffffff" if value < middle else "#000000", "ha": "center", "va": "center", "fontsize": 10}
                ax.text(column, row, number(value, 2), **style)
    ax.set_xticks(places, labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=10.5)
    ax.set_yticks(places if named else [], labels if named else [], fontsize=10.5)
    ax.tick_params(left=False, bottom=False)
    ax.set_title(title, color=INK)
    for spine in ax.spines.values():
        spine.set_visible(False)


def map_figure(found: RegionIdentification) -> Drawing | None:
    """Regions as points whose distances are those of their mean RDMs."""
    places, names = found.data["coordinates"].values, [shorten(name, 24) for name in found.regions]
    if len(names) < 3 or not np.isfinite(places).all() or not np.ptp(places, axis=0).any():
        return None
    low, high = places.min(axis=0), places.max(axis=0)
    # One scale for both axes, or distances could not be read off; room at the sides for names.
    room = 60 + 2 * CHARACTER * max(map(len, names))
    scale = max((high - low) / (MAP_WIDTH - room, MAP_HEIGHT - 90))
    height = max(140.0, (high - low)[1] / scale + 90)
    sheet = canvas(MAP_WIDTH, height)
    ax = axes(sheet, 8, 8, MAP_WIDTH - 16, height - 16)
    middle, half = (low + high) / 2, scale * np.array([MAP_WIDTH - 16, height - 16]) / 2
    ax.set_xlim(middle[0] - half[0], middle[0] + half[0])
    ax.set_ylim(middle[1] - half[1], middle[1] + half[1])
    pixels = (places - middle) / scale
    for name, (x, y), (dx, dy, anchor) in zip(names, places, label_places(pixels, names), strict=True):
        ax.plot([x], [y], "o", color=ACCENT, markersize=DOT, gid=sheet.tip(name), zorder=2)
        ax.annotate(name, (x, y), (dx, dy), textcoords="offset points", color=INK, fontsize=12, ha=anchor, va="center")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color(RULE)
    shown = percent(float(found.data.attrs["map_shown"]))
    caption = (
        "Map of the regions: the nearer two are, the more alike their RDMs are between subjects (classical scaling of squared "
        f"distances that no noise of a subject enters). The two axes show {shown} of them."
    )
    return finish(sheet, "region-identification-map", caption, f"Map of {listing(names)}")


def label_places(pixels: np.ndarray, names: Sequence[str]) -> list[tuple[float, float, str]]:
    """Offset and alignment of each name: right of its point, else left, above or below, where nothing stands yet."""
    boxes = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in pixels]
    found: list[tuple[float, float, str]] = []
    for (x, y), name in zip(pixels, names, strict=True):
        wide = CHARACTER * len(name)
        sides = [(DOT + 2, 0.0, "left"), (-DOT - 2, 0.0, "right"), (0.0, DOT + 8, "center"), (0.0, -DOT - 8, "center")]
        starts = [x + DOT + 2, x - DOT - 2 - wide, x - wide / 2, x - wide / 2]
        tried = [(start, y + dy - 7, start + wide, y + dy + 7) for start, (_, dy, _) in zip(starts, sides, strict=True)]
        best = min(range(4), key=lambda k: sum(_overlap(tried[k], box) for box in boxes))
        boxes.append(tried[best])
        found.append(sides[best])
    return found


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
