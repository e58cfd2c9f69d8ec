"""A searchlight's map seen through: the largest score along each axis, the significant places outlined."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.image import AxesImage

from isocortex.recordings.grids import Grid, grid_of
from isocortex.reporting.drawing import INK, MUTED, SECOND, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.formatting import number, shorten
from isocortex.reporting.searchlight import Entry, position, score_name
from isocortex.reporting.vocabulary import method_label

LEFT, TOP, BOTTOM, GAP, HEIGHT, WIDTH = 92, 34, 52, 26, 190, 944
SHOWN = 4  # maps of one model: the mean and some subjects
ALPHA = 0.05
# What is seen along x, y and z: the axes to the right and up.
VIEWS = (("from the side", 1, 2), ("from the front", 0, 2), ("from above", 0, 1))


def searchlight_figure(entry: Entry) -> Drawing | None:
    """One row per map, one panel per direction, on one colour scale."""
    shown = [one for one in entry.maps if one["n_scored"]][:SHOWN]
    if not shown:
        return None
    values = np.concatenate([entry.places(one["subject"])["score"].values for one in shown])
    limits = (min(0.0, float(np.nanmin(values))), max(float(np.nanmax(values)), 1e-9))
    sheet = canvas(WIDTH, TOP + len(shown) * (HEIGHT + GAP) + BOTTOM)
    image = None
    for row, one in enumerate(shown):
        top = TOP + row * (HEIGHT + GAP)
        image = _row(sheet, entry, one["subject"], top, limits) or image
        sheet.figure.text(
            0.004, 1 - (top + 14) / (sheet.figure.get_size_inches()[1] * 72), shorten(one["subject"], 11), color=INK
        )
    if image is not None:
        _scale(sheet, image, score_name(entry), TOP + len(shown) * (HEIGHT + GAP))
    rest = len(entry.maps) - len(shown)
    caption = (
        f"{entry.label}, {method_label(entry.method)} in every neighbourhood: the largest {score_name(entry)} along "
        "each line of sight, all maps on one scale; outlined: where some place has a family-wise p below .05. Axes in mm."
        + (f" {rest} more maps are in the table." if rest > 0 else "")
    )
    about = "; ".join(_said(one) for one in shown)
    return finish(sheet, f"searchlight-{entry.method}-{entry.model}", caption, f"Searchlight of {entry.label}. {about}")


def _said(one: Mapping[str, Any]) -> str:
    peak = one["peak"] or {}
    found = "not tested" if one["n_significant"] is None else f"{one['n_significant']} of {one['n_scored']} places significant"
    return f"{one['subject']}: {found}, peak {number(peak.get('score'))} at {position(peak)} mm"


def _row(sheet: Canvas, entry: Entry, subject: str, top: float, limits: tuple[float, float]) -> AxesImage | None:
    map_ = entry.places(subject)
    points = np.stack([map_[axis].values.astype(float) for axis in "xyz"], axis=1)
    score, significant = map_["score"].values, map_["p_corrected"].values < ALPHA
    grid = _aligned(points)
    width = (WIDTH - LEFT - 2 * 50) / 3
    image = None
    for place, (title, across, up) in enumerate(VIEWS):
        ax = axes(sheet, LEFT + place * (width + 50), top, width, HEIGHT)
        if grid is None:
            order = np.argsort(np.nan_to_num(score, nan=-np.inf))
            drawn = ax.scatter(
                *points[order][:, [across, up]].T, c=score[order], s=14, cmap="cividis", vmin=limits[0], vmax=limits[1]
            )
            drawn.set_rasterized(len(points) > 500)
            ax.plot(*points[significant][:, [across, up]].T, "o", color=SECOND, markersize=6, fillstyle="none", linewidth=1)
            image = None
        else:
            image = _projection(ax, grid, score, significant, (across, up), limits)
        ax.set_aspect("equal")
        ax.tick_params(labelsize=9.5)
        if top == TOP:
            ax.set_title(title, color=MUTED, fontsize=11)
    return image


def _aligned(points: np.ndarray) -> Grid | None:
    """The grid along the axes, if positions lie on one; turned volumes are drawn as dots."""
    grid = grid_of(points)
    return grid if grid is not None and max(grid.shape) <= 512 else None


def _projection(
    ax: Axes, grid: Grid, score: np.ndarray, significant: np.ndarray, view: tuple[int, int], limits: tuple[float, float]
) -> AxesImage:
    """The largest score along the axis that is not in `view`."""
    shape = (grid.shape[view[1]], grid.shape[view[0]])
    index = grid.index[:, view[1]], grid.index[:, view[0]]
    largest = np.full(shape, -np.inf)
    np.maximum.at(largest, index, np.nan_to_num(score, nan=-np.inf))
    outlined = np.zeros(shape, dtype=bool)
    outlined[index[0][significant], index[1][significant]] = True
    low = [grid.affine[axis, 3] - grid.affine[axis, axis] / 2 for axis in view]
    high = [start + grid.affine[axis, axis] * grid.shape[axis] for start, axis in zip(low, view, strict=True)]
    extent = (low[0], high[0], low[1], high[1])
    shown = np.where(np.isfinite(largest), largest, np.nan)
    style = {"cmap": "cividis", "vmin": limits[0], "vmax": limits[1], "interpolation": "none", "origin": "lower"}
    image = ax.imshow(shown, extent=extent, **style)
    steps = [grid.affine[axis, axis] for axis in view]
    ax.add_collection(LineCollection(_outline(outlined, low, steps), colors=SECOND, linewidths=1.4))
    return image


def _outline(mask: np.ndarray, low: list[float], steps: list[float]) -> list[list[tuple[float, float]]]:
    """Edges between the places of a mask (up, across) and the others, in mm."""
    padded = np.pad(mask, 1)
    lines = []
    for up, row in enumerate(padded[1:-1]):
        for across, (left, right) in enumerate(pairwise(row)):
            if left != right:
                lines.append([(across, up), (across, up + 1)])
    for across, column in enumerate(padded.T[1:-1]):
        for up, (below, above) in enumerate(pairwise(column)):
            if below != above:
                lines.append([(across, up), (across + 1, up)])
    return [[(low[0] + steps[0] * x, low[1] + steps[1] * y) for x, y in line] for line in lines]


def _scale(sheet: Canvas, image: AxesImage, name: str, top: float) -> None:
    bar = sheet.figure.colorbar(image, cax=axes(sheet, LEFT, top, 200, 8), orientation="horizontal")
    bar.ax.tick_params(length=0, labelsize=9.5)
    bar.ax.set_xlabel(name, color=MUTED, fontsize=10.5)
    bar.outline.set_visible(False)
