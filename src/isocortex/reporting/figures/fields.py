"""Receptive fields of readouts: where a model's neuroids look, on the average and one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.patches import Rectangle

from isocortex.reporting.drawing import ACCENT, INK, MUTED, RULE, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.formatting import number, shorten
from isocortex.reporting.readouts import readout_cells
from isocortex.reporting.region import Region
from isocortex.reporting.vocabulary import READOUT_ORDER, SHORT, method_label
from isocortex.study.readouts import TWINS

if TYPE_CHECKING:
    import xarray

SIDE, GAP, LEFT, TOP, HEADING, BOTTOM = 138, 24, 52, 22, 40, 62
MODELS = 6  # drawn at most
CIRCLES = 300  # above this many, circles become an image: a page of thousands of paths is slow to open


@dataclass(frozen=True)
class Panel:
    """Fields of one model by one readout. mask : (h, w), mean of absolute weights. x, y, size : (v,) in `units`, of images
    `widths` wide."""

    model: str
    method: str
    mask: np.ndarray
    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    units: str
    widths: tuple[float, ...]

    @property
    def known(self) -> np.ndarray:
        """Neuroids that have a field."""
        return np.isfinite(self.x) & np.isfinite(self.y)


def panels(region: Region) -> list[list[Panel]]:
    """Panels of each model in the order of the readouts, twins left out."""
    found: dict[str, list[Panel]] = {}
    for model, cell in readout_cells(region):
        if "rf" not in cell:
            continue
        methods = [str(name) for name in cell["method"].values if str(name) not in TWINS]
        made = [_panel(model, method, cell.sel({"method": method})) for method in methods]
        found.setdefault(model, []).extend(one for one in made if one is not None)
    order = {name: place for place, name in enumerate(READOUT_ORDER)}
    return [sorted(row, key=lambda one: order.get(one.method, len(order))) for row in found.values() if row]


def _panel(model: str, method: str, cell: xarray.Dataset) -> Panel | None:
    masks = np.abs(cell["rf"].transpose("neuroid", "y", "x").values.astype(float))
    kept = np.isfinite(masks).all(axis=(1, 2))
    if not kept.any():
        return None
    missing = np.full(len(masks), np.nan)
    fields = {
        name: cell[f"field_{name}"].values.astype(float) if f"field_{name}" in cell else missing for name in ("x", "y", "size")
    }
    about = cell["field_x"].attrs if "field_x" in cell else {}
    widths = tuple(sorted({float(width) for width in np.atleast_1d(about.get("width", 1.0))}))
    return Panel(model, method, masks[kept].mean(0), **fields, units=str(about.get("units", "image widths")), widths=widths)


def fields_figure(region: Region) -> Drawing | None:
    """Per model a row of mean masks, and below each the fields of its neuroids: a circle of one sd around each centre."""
    every = panels(region)
    shown = every[:MODELS]
    if not shown:
        return None
    located = any(one.known.any() for row in shown for one in row)
    columns = max(len(row) for row in shown)
    block = HEADING + SIDE + (GAP + SIDE if located else 0) + BOTTOM
    sheet = canvas(max(LEFT + columns * (SIDE + GAP), 420), TOP + block * len(shown))
    for line, row in enumerate(shown):
        top = TOP + line * block
        _name(sheet, region.model_label(row[0].model), top - 4)
        for column, panel in enumerate(row):
            left = LEFT + column * (SIDE + GAP)
            _mask(axes(sheet, left, top + HEADING, SIDE, SIDE), panel, first=not column)
            if located:
                _circles(sheet, axes(sheet, left, top + HEADING + SIDE + GAP, SIDE, SIDE), panel, first=not column)
    return finish(sheet, "fields", _caption(region, every, located=located), _about(region, shown))


def _caption(region: Region, every: Sequence[Sequence[Panel]], *, located: bool) -> str:
    said = (
        "Receptive fields of the readouts. Above: mean absolute weight over neuroids, on the image; bright is used more, each "
        "map on its own scale."
    )
    if located:
        said += (
            f" Below: a circle per neuroid, its radius one standard deviation of the field, in {every[0][0].units} from the "
            "middle of the image, whose frame is drawn."
        )
    left_out = [region.model_label(row[0].model) for row in every[MODELS:]]
    return said + (f" Not drawn: {', '.join(left_out)}." if left_out else "")


def _about(region: Region, shown: Sequence[Sequence[Panel]]) -> str:
    parts = []
    for panel in (one for row in shown for one in row):
        said = f"{region.model_label(panel.model)}, {method_label(panel.method)}"
        if panel.known.any():
            middle = (np.nanmedian(panel.x), np.nanmedian(panel.y), np.nanmedian(panel.size))
            x, y, size = (number(value, 2) for value in middle)
            said += f": median centre {x}, {y}, size {size} {panel.units}"
        parts.append(said)
    return "Receptive fields: " + "; ".join(parts)


def _name(sheet: Canvas, label: str, top: float) -> None:
    width, height = sheet.figure.get_size_inches() * 72
    letters = max(20, int((width - 16) / 7.4))
    sheet.figure.text(4 / width, 1 - top / height, shorten(label, letters), color=INK, weight="bold", va="top", fontsize=11.5)


def _mask(ax: Axes, panel: Panel, *, first: bool) -> None:
    half = panel.widths[-1] / 2
    ax.imshow(panel.mask, cmap="cividis", vmin=0, interpolation="none", extent=(-half, half, -half, half), aspect="auto")
    _frame(ax, panel, labelled=first)
    ax.set_title(SHORT.get(panel.method, method_label(panel.method)), fontsize=10.5, pad=4)
    ax.tick_params(labelbottom=False)


def _circles(sheet: Canvas, ax: Axes, panel: Panel, *, first: bool) -> None:
    known = panel.known
    size = np.where(np.isfinite(panel.size), panel.size, 0.0)[known]
    x, y = panel.x[known], panel.y[known]
    many = len(x) > CIRCLES
    if len(x):
        made = EllipseCollection(
            2 * size, 2 * size, np.zeros(len(x)), units="xy", offsets=np.column_stack([x, y]), offset_transform=ax.transData,
            facecolors="none", edgecolors=ACCENT, linewidths=0.8, alpha=0.25 if many else 0.55,
        )  # fmt: skip
        made.set_rasterized(many)
        ax.add_collection(made)
        tip = sheet.tip(
            f"{method_label(panel.method)}\n{len(x)} neuroids, median size {number(np.median(size), 2)} {panel.units}"
        )
        ax.plot(x, y, "o", color=ACCENT, markersize=1.8, rasterized=many, gid=tip)
    for width in panel.widths:
        ax.add_patch(Rectangle((-width / 2, -width / 2), width, width, facecolor="none", edgecolor=MUTED, linewidth=1))
    _frame(ax, panel, labelled=first)
    ax.set_xlabel(panel.units if panel.units == "degrees" else "widths", fontsize=10)


def _frame(ax: Axes, panel: Panel, *, labelled: bool) -> None:
    """The same view for masks and circles: the widest image and a margin of a tenth."""
    half = panel.widths[-1] / 2
    ax.set_xlim(-1.1 * half, 1.1 * half)
    ax.set_ylim(-1.1 * half, 1.1 * half)
    ticks = [-half, 0.0, half]
    written = [number(tick, 1) for tick in ticks]
    ax.set_xticks(ticks, written, fontsize=9.5)
    ax.set_yticks(ticks, written if labelled else ["", "", ""], fontsize=9.5)
    for side in ax.spines.values():
        side.set_color(RULE)
