"""The map of a region's space of shapes: subjects and the layers of models, as near as they are alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from isocortex.reporting.drawing import INK, MUTED, RULE, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.figures.beside import beside, look
from isocortex.reporting.figures.placing import SIDE, placed
from isocortex.reporting.formatting import is_missing, number, percent, shorten, span
from isocortex.reporting.region import Region
from isocortex.reporting.shape_tables import kinds, space, system_label
from isocortex.reporting.vocabulary import method_label

if TYPE_CHECKING:
    import xarray

TOP, FOOT, MARGIN, LONGEST = 28, 26, 26, 18


def shape_map(region: Region) -> Drawing | None:
    """One panel per metric; None where the region has no space of shapes."""
    cell = space(region)
    if cell is None:
        return None
    order = list(dict.fromkeys(str(name) for name in cell["model"].values[kinds(cell, "layer")]))
    panels, parts = [], []
    for place, name in enumerate(str(name) for name in cell["metric"].values):
        one = cell.isel({"metric": place})
        if np.isfinite(one["coordinates"].values).all(axis=1).sum() < 3:
            continue
        panels.append(_panel(f"shape-map-{name}", method_label(name), region, one, order))
        parts.append(_numbers(method_label(name), one))
    if not panels:
        return None
    caption = (
        "Subjects (squares) and the layers of models, those of a model joined from first to last (large), placed so that the "
        "nearer two are the more alike they are; names where they fit. Dashed circles: the distance between halves of a "
        f"subject's own trials, within which nothing can be told from it. {' '.join(parts)}"
    )
    subjects = len(kinds(cell, "subject"))
    return beside(panels, "shape-map", caption, f"Map of {subjects} subjects and {len(order)} models. {' '.join(parts)}")


def _numbers(label: str, cell: xarray.Dataset) -> str:
    parts = []
    if "shown" in cell and not is_missing(float(cell["shown"])):
        parts.append(f"the axes show {percent(float(cell['shown']))} of squared distances")
    if "dispersion" in cell and not is_missing(float(cell["dispersion"])):
        parts.append(f"Fréchet variance of the subjects {number(float(cell['dispersion']))}")
    known = _own(cell)
    known = known[np.isfinite(known)]
    if len(known):
        parts.append(f"self-distances {span(known.min(), known.max())}")
    return f"{label}: {', '.join(parts)}." if parts else ""


def _own(cell: xarray.Dataset) -> np.ndarray:
    """Self-distances of all systems, NaN where unknown."""
    n = cell.sizes["system"]
    return cell["self_distance"].values.astype(float) if "self_distance" in cell else np.full(n, np.nan)


def _panel(key: str, title: str, region: Region, cell: xarray.Dataset, order: Sequence[str]) -> Drawing:
    sheet = canvas(SIDE, TOP + SIDE + FOOT)
    ax = axes(sheet, 1, TOP, SIDE - 2, SIDE)
    ax.set_xlim(0, SIDE)
    ax.set_ylim(0, SIDE)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color(RULE)
    pixels, scale = _fitted(cell["coordinates"].transpose("system", "axis").values[:, :2], _own(cell))
    _subjects(sheet, ax, cell, pixels, scale)
    for place, model in enumerate(order):
        _model(sheet, ax, region, cell, (pixels, place, model))
    _write(ax, region, cell, order, (pixels, scale))
    sheet.figure.text(4 / SIDE, 1 - 14 / (TOP + SIDE + FOOT), title, color=INK, fontsize=12.5, va="center")
    _ruler(sheet, scale)
    return finish(sheet, key, "", f"{title}: {_numbers('map', cell)}")


def _fitted(places: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, float]:
    """Places in pixels of the panel with their circles inside it, and pixels per unit of distance."""
    radius = np.nan_to_num(own)[:, None]
    known = np.isfinite(places).all(axis=1)
    low, high = (places - radius)[known].min(axis=0), (places + radius)[known].max(axis=0)
    scale = (SIDE - 2 * MARGIN) / max(float((high - low).max()), 1e-12)
    return SIDE / 2 + (places - (low + high) / 2) * scale, scale


def _subjects(sheet: Canvas, ax: Axes, cell: xarray.Dataset, pixels: np.ndarray, scale: float) -> None:
    for system in kinds(cell, "subject"):
        x, y = pixels[system]
        if not np.isfinite(x + y):
            continue
        name, own = str(cell["subject"].values[system]), float(_own(cell)[system])
        tip = name + ("" if is_missing(own) else f"\nself-distance {number(own)}")
        if not is_missing(own):
            ring = Circle((x, y), own * scale, facecolor=INK, alpha=0.07, linewidth=0, zorder=0)
            edge = Circle((x, y), own * scale, facecolor="none", edgecolor=INK, linewidth=0.8, linestyle=(0, (3, 3)), zorder=1)
            ax.add_patch(ring)
            ax.add_patch(edge)
        style = {"color": INK, "markersize": 8.5, "zorder": 5, "gid": sheet.tip(tip)}
        ax.plot([x], [y], "s", **style)


def _model(sheet: Canvas, ax: Axes, region: Region, cell: xarray.Dataset, given: tuple[np.ndarray, int, str]) -> None:
    pixels, place, model = given
    mine = _layers(cell, model, pixels)
    if not len(mine):
        return
    colour, marker = look(place)
    ax.plot(*pixels[mine].T, color=colour, linewidth=1.5, zorder=2)
    for number_, system in enumerate(mine):
        size = 9.0 if number_ == len(mine) - 1 else 5.5
        distance = cell["distance"].values[system, kinds(cell, "subject")]
        known = distance[np.isfinite(distance)]
        tip = system_label(region, cell, int(system)) + (f"\nto subjects {number(known.mean())}" if len(known) else "")
        style = {"markeredgecolor": INK, "markeredgewidth": 0.6, "zorder": 4, "gid": sheet.tip(tip)}
        ax.plot(*pixels[system][:, None], marker, color=colour, markersize=size, **style)


def _layers(cell: xarray.Dataset, model: str, pixels: np.ndarray) -> np.ndarray:
    """Places of a model's layers, in the order of the cell."""
    layers = kinds(cell, "layer")
    mine = layers[cell["model"].values[layers].astype(str) == model]
    return mine[np.isfinite(pixels[mine]).all(axis=1)]


def _write(ax: Axes, region: Region, cell: xarray.Dataset, order: Sequence[str], given: tuple[np.ndarray, float]) -> None:
    """Names of subjects, and of models at a layer where there is room, the last one if it can be."""
    pixels, scale = given
    wanted = [
        (str(cell["subject"].values[place]), pixels[[place]])
        for place in kinds(cell, "subject")
        if np.isfinite(pixels[place]).all()
    ]
    lines = {model: pixels[_layers(cell, model, pixels)] for model in order}
    wanted += [(region.model_label(model), line[::-1]) for model, line in lines.items() if len(line)]
    marks = pixels[np.isfinite(pixels).all(axis=1)]
    circles = [_circle(pixels[place], own * scale) for place, own in enumerate(_own(cell)) if np.isfinite(own)]
    covered = np.concatenate([marks, *[_along(line) for line in lines.values() if len(line) > 1], *circles])
    names = [shorten(name, LONGEST) for name, _ in wanted]
    for name, found in zip(names, placed([places for _, places in wanted], names, marks, covered), strict=True):
        if found is not None:
            x, y, anchor = found
            ax.text(x, y, name, color=INK, fontsize=12, ha=anchor, va="center", zorder=6, clip_on=False)


def _along(places: np.ndarray) -> np.ndarray:
    """Points every few pixels of a line."""
    steps = [np.linspace(a, b, max(2, int(np.hypot(*(b - a)) / 8))) for a, b in pairwise(places)]
    return np.concatenate(steps)


def _circle(centre: np.ndarray, radius: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, max(8, int(radius)))
    return centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _ruler(sheet: Canvas, scale: float) -> None:
    """A bar of a round distance under the map."""
    longest = 110 / scale
    power = 10.0 ** np.floor(np.log10(longest))
    length = next(size * power for size in (5.0, 2.0, 1.0) if size * power <= longest)
    ax = axes(sheet, 4, TOP + SIDE + 6, length * scale, 10)
    ax.axis("off")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.plot([0, 1], [0.4, 0.4], color=MUTED, linewidth=2, clip_on=False, solid_capstyle="butt")
    ax.text(1 + 8 / (length * scale), 0.4, f"distance {length:.3g}", color=MUTED, fontsize=11, va="center", clip_on=False)
