"""Curvature of the region's graph of stimuli and its best model's: distributions, and scores at every share of neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from isocortex.reporting.drawing import ACCENT, INK, MUTED, NULL, PAPER, RULE, SECOND, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.figures.beside import beside
from isocortex.reporting.figures.placing import apart
from isocortex.reporting.formatting import count, number, percent, shorten
from isocortex.reporting.region import Region
from isocortex.reporting.shapes import best_cell, cells_of, joined, layer_said, shown_share
from isocortex.reporting.verdicts import ranked
from isocortex.reporting.vocabulary import method_label

if TYPE_CHECKING:
    import xarray

    from isocortex.inference.verdict import Verdict

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, RIGHT = 330, 190, 46, 46, 44, 8
BINS, NAMES, NAME, ROOM = 22, 6, 13, 92  # most names beside lines, letters of each, pixels for them
SIDES = ("brain", "model")
COLOURS = {"brain": SECOND, "model": ACCENT}
RULE_OF_SCORE = "The score is the mean over these shares, which were fixed beforehand: none is chosen by its result."


def curvature_figure(region: Region, method: str, verdict: Verdict) -> Drawing | None:
    """Node and edge curvature of the region over the best model's, and the sweep of shares."""
    model, cell = best_cell(region, method, verdict, "node_curvature")
    if model is None or cell is None:
        return None
    labels = {"brain": region.label, "model": region.model_label(model)}
    found = {"node": node_values(cell), "edge": edge_values(cell)}
    panels = [_histogram(f"curvature-{method}-{name}", name, values, labels) for name, values in found.items() if values]
    sweep = _sweep(region, method, verdict)
    panels += [sweep] if sweep else []
    some = " of this stimulus set" if len(region.stimuli) > 1 else ""
    below = f"{shorten(labels['model'], 60)}{shorten(layer_said(cell), 60)}"
    caption = (
        f"Ollivier–Ricci curvature of the graph of {cell.sizes['stimulus']} stimuli, "
        f"{joined(region, method, shown_share(cell))}. Up: {shorten(region.label, 60)}, mean over subjects{some}; "
        f"down: {below}. Negative: bridges between clusters; positive: within them. Lines: medians."
        + (f" Right: {region.score_name(method)} by share. {RULE_OF_SCORE}" if sweep else "")
    )
    medians = [
        f"median {name} curvature {number(np.median(values[side]))} in {labels[side]}"
        for name, values in found.items()
        for side in values
    ]
    return beside(panels, f"curvature-{method}", caption, f"Curvature: {'; '.join(medians)}")


def sweep_figure(region: Region, method: str, verdict: Verdict) -> Drawing | None:
    """The sweep of shares by itself."""
    sweep = _sweep(region, method, verdict)
    if sweep is None:
        return None
    caption = f"{method_label(method)} by the share of neighbours. {RULE_OF_SCORE}"
    return beside([sweep], f"sweep-{method}", caption, sweep.about)


# --- histograms --------------------------------------------------------------------------------------------------------


def node_values(cell: xarray.Dataset) -> dict[str, np.ndarray]:
    """Known node curvatures at the shown share, by system; empty unless both have some."""
    systems = [str(name) for name in cell["system"].values]
    share = int(np.abs(cell["share"].values - shown_share(cell)).argmin())
    values = cell["node_curvature"].transpose("system", "share", "stimulus").values[:, share]
    return _both({side: values[systems.index(side)] for side in SIDES})


def edge_values(cell: xarray.Dataset) -> dict[str, np.ndarray]:
    """Known edge curvatures at the shown share, by system; empty unless both have some."""
    if "edge_curvature" not in cell or "edge_system" not in cell:
        return {}
    systems, owner = [str(name) for name in cell["system"].values], cell["edge_system"].values
    return _both({side: cell["edge_curvature"].values[owner == systems.index(side)] for side in SIDES})


def _both(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    known = {side: found[np.isfinite(found)] for side, found in values.items()}
    return known if all(len(found) for found in known.values()) else {}


def _histogram(key: str, name: str, values: Mapping[str, np.ndarray], labels: Mapping[str, str]) -> Drawing:
    sheet = canvas(WIDTH, TOP + HEIGHT + BOTTOM)
    ax = axes(sheet, LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT)
    every = np.concatenate(list(values.values()))
    low, high = float(every.min()), float(every.max())
    limits = np.linspace(low, high, BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])
    tallest = 0.0
    for side, sign in (("brain", 1), ("model", -1)):
        sizes = np.histogram(values[side], limits)[0]
        shares = sizes / len(values[side])
        tallest = max(tallest, float(shares.max()))
        for place, (size, share) in enumerate(zip(sizes, shares, strict=True)):
            tip = f"{labels[side]}\n{name} curvature {number(limits[place], 2)} to {number(limits[place + 1], 2)}\n"
            tip += f"{count(size)} {name}s, {percent(share)}"
            style = {"facecolor": COLOURS[side], "edgecolor": PAPER, "linewidth": 0.6, "alpha": 0.85, "zorder": 2}
            box = Rectangle((limits[place], 0), limits[place + 1] - limits[place], sign * share, **style)
            if size:
                box.set_gid(sheet.tip(tip))
                ax.add_patch(box)
        median = float(np.median(values[side]))
        ax.plot([median] * 2, [0, sign * 2], color=INK, linewidth=1.6, zorder=3, scalex=False, scaley=False)
    pad = 0.03 * (limits[-1] - limits[0])
    ax.set_xlim(limits[0] - pad, limits[-1] + pad)
    ax.set_ylim(-1.08 * tallest, 1.08 * tallest)
    _frame(ax, name, tallest)
    _legend(sheet, f"{name} curvature", labels)
    about = "; ".join(f"{labels[side]}: {count(len(values[side]))} {name}s" for side in SIDES)
    return finish(sheet, key, "", f"Distribution of {name} curvature. {about}")


def _frame(ax: Axes, name: str, tallest: float) -> None:
    ax.axhline(0, color=RULE, linewidth=1.2, zorder=1)
    ax.axvline(0, color=RULE, linewidth=1, zorder=0)
    ax.spines["bottom"].set_visible(False)
    ax.set_xlabel(f"{name} curvature", fontsize=11.5, labelpad=2)
    step = next((size for size in (0.5, 0.2, 0.1, 0.05, 0.02) if 2 * size <= tallest), 0.01)
    ticks = np.arange(-int(tallest / step), int(tallest / step) + 1) * step
    ax.set_yticks(ticks, [percent(abs(tick)) for tick in ticks])


def _legend(sheet: Canvas, title: str, labels: Mapping[str, str]) -> None:
    width, height = sheet.figure.get_size_inches() * 72
    sheet.figure.text(LEFT / width, 1 - 12 / height, f"share of {title.split()[0]}s", color=MUTED, fontsize=11, va="center")
    x = float(LEFT)
    for side, mark in (("brain", "▲"), ("model", "▼")):
        style = {"fontsize": 11.5, "va": "center"}
        label = shorten(labels[side], 18)
        sheet.figure.text(x / width, 1 - 32 / height, mark, color=COLOURS[side], **style)
        sheet.figure.text((x + 15) / width, 1 - 32 / height, label, color=INK, **style)
        x += 30 + 6.4 * len(label)


# --- the sweep ---------------------------------------------------------------------------------------------------------


def _sweep(region: Region, method: str, verdict: Verdict) -> Drawing | None:
    found = cells_of(region, method, "share_score")
    cells = {model: cell.isel({"share": np.isfinite(cell["share_score"].values)}) for model, cell in found.items()}
    cells = {model: cell for model, cell in cells.items() if cell.sizes["share"] > 1}
    order = [model for model in [*ranked(verdict), *sorted(cells)] if model in cells]
    order = list(dict.fromkeys(order))
    if not order:
        return None
    sheet = canvas(WIDTH, TOP + HEIGHT + BOTTOM)
    ax = axes(sheet, LEFT + 6, TOP, WIDTH - LEFT - 6 - ROOM, HEIGHT)
    for place, model in reversed(list(enumerate(order))):
        _line(sheet, ax, region.model_label(model), cells[model], leading=not place)
    best = cells[order[0]]
    shares = best["share"].values.astype(float)
    ax.axvline(shown_share(best), color=RULE, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    ax.set_xticks(shares, [f"{100 * share:.3g}" for share in shares])
    ax.set_xlabel("share of neighbours (%)", fontsize=11.5, labelpad=2)
    _names(ax, region, {model: cells[model] for model in order[:NAMES]})
    style = {"color": MUTED, "fontsize": 11, "va": "center"}
    height = sheet.figure.get_size_inches()[1] * 72
    sheet.figure.text(LEFT / WIDTH, 1 - 12 / height, shorten(region.score_name(method), 40), **style)
    if region.is_distance(method):
        sheet.figure.text(LEFT / WIDTH, 1 - 30 / height, "lower is closer", **style)
    said = ", ".join(
        f"{number(value, 2)} at {percent(share)}" for share, value in zip(shares, best["share_score"].values, strict=True)
    )
    return finish(sheet, f"sweep-{method}-lines", "", f"Score of {region.model_label(order[0])} by share of neighbours: {said}")


def _line(sheet: Canvas, ax: Axes, label: str, cell: xarray.Dataset, *, leading: bool) -> None:
    shares, values = cell["share"].values.astype(float), np.asarray(cell["share_score"].values, float)
    colour = ACCENT if leading else NULL
    ax.plot(shares, values, color=colour, linewidth=2.2 if leading else 1.3, zorder=3 if leading else 2)
    for share, value in zip(shares, values, strict=True):
        tip = sheet.tip(f"{label}\nshare of neighbours {percent(share)}\nscore {number(value)}")
        ax.plot([share], [value], "o", color=colour, markersize=6 if leading else 4, zorder=4, gid=tip)


def _names(ax: Axes, region: Region, cells: Mapping[str, xarray.Dataset]) -> None:
    """Names at the ends of lines, moved apart where lines end together."""
    known = {model: float(cell["share_score"].values[-1]) for model, cell in cells.items()}
    low, high = ax.get_ylim()
    heights = apart([(value - low) / (high - low) * HEIGHT for value in known.values()], 14)
    heights = heights - max(0.0, heights.max(initial=0) - HEIGHT)
    for place, (model, height) in enumerate(zip(known, heights, strict=True)):
        style = {"color": INK if place else ACCENT, "fontsize": 11, "va": "center", "clip_on": False, "transform": ax.transAxes}
        ax.text(1.04, height / HEIGHT, shorten(region.model_label(model), NAME), **style)
