"""Neuroids one by one: how scores are distributed, and how they follow reliability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from isocortex.reporting.drawing import ACCENT, CEILING, INK, RULE, SERIES, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.formatting import number, shorten
from isocortex.reporting.region import Region
from isocortex.reporting.verdicts import ranked
from isocortex.reporting.vocabulary import method_label

if TYPE_CHECKING:
    import xarray

    from isocortex.inference.verdict import Verdict

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 944, 360, 56, 66, 50
POINTS = 1500  # above this many, dots become an image: a page of 20 000 paths is slow to open


def neuroids_figure(region: Region, method: str, verdict: Verdict) -> Drawing | None:
    """Left: share of neuroids at or below each score, best models; right: the best model's score against reliability."""
    cells = {model: cell for model, cell in region.datasets(method) if "r" in cell and np.isfinite(cell["r"].values).any()}
    best = [model for model in dict.fromkeys([*ranked(verdict), *cells]) if model in cells][: len(SERIES)]
    if not best:
        return None
    sheet = canvas(WIDTH, HEIGHT)
    reliable = "reliability" in cells[best[0]] and np.isfinite(cells[best[0]]["reliability"].values).any()
    span = 440 if reliable else 560
    counts = _distribution(
        sheet, axes(sheet, LEFT, TOP, span - 70, HEIGHT - TOP - BOTTOM), region, {model: cells[model] for model in best}
    )
    about = "Distribution over neuroids: " + "; ".join(
        f"{region.model_label(model)} median {number(mid, 2)}" for model, mid in counts.items()
    )
    caption = f"{method_label(method)}: share of neuroids with at most this r on held-out stimuli, one line per subject."
    if reliable:
        _against_reliability(
            axes(sheet, LEFT + span, TOP, WIDTH - LEFT - span - 10, HEIGHT - TOP - BOTTOM), region, best[0], cells[best[0]]
        )
        caption += (
            " Right: the same r against reliability; the yellow line is the ceiling, √reliability, which noise can exceed."
        )
    else:
        caption += " Without repeats the neuroids have no reliability to set this against."
    return finish(sheet, f"neuroids-{method}", caption, about)


def _subjects(cell: xarray.Dataset) -> list[tuple[str, np.ndarray]]:
    """Each subject's neuroids as a mask."""
    if "neuroid_subject" not in cell.coords:
        return [("", np.ones(cell.sizes["neuroid"], bool))]
    owner = cell["neuroid_subject"].values.astype(str)
    return [(subject, owner == subject) for subject in dict.fromkeys(owner.tolist())]


def _distribution(sheet: Canvas, ax: Axes, region: Region, cells: dict[str, xarray.Dataset]) -> dict[str, float]:
    medians = {}
    for place, (model, cell) in enumerate(cells.items()):
        middle, label = [], region.model_label(model)
        for subject, mask in _subjects(cell):
            r = np.sort(cell["r"].values[mask])
            r = r[np.isfinite(r)]
            if not len(r):
                continue
            middle.append(float(np.median(r)))
            share = np.arange(1, len(r) + 1) / len(r)
            tip = sheet.tip(
                f"{label}\n{f'subject {subject}: ' if subject else ''}median {number(middle[-1])}, {len(r)} neuroids"
            )
            ax.plot(r, share, color=SERIES[place], linewidth=1.6, drawstyle="steps-post", gid=tip)
        medians[model] = float(np.mean(middle))
        ax.text(
            0.0,
            1.03 + 0.075 * (len(cells) - 1 - place),
            f"{shorten(label, 40)}",
            color=SERIES[place],
            fontsize=11,
            transform=ax.transAxes,
        )
    ax.axhline(0.5, color=RULE, linewidth=1, zorder=0)
    ax.axvline(0, color=RULE, linewidth=1, zorder=0)
    ax.set_ylim(0, 1)
    ax.set_xlabel("r per neuroid", fontsize=11.5)
    ax.set_ylabel("share of neuroids", fontsize=11.5)
    return medians


def _against_reliability(ax: Axes, region: Region, model: str, cell: xarray.Dataset) -> None:
    reliability, r = cell["reliability"].values, cell["r"].values
    ax.scatter(reliability, r, s=12, color=ACCENT, alpha=0.55, linewidths=0, rasterized=len(r) > POINTS)
    low = min(0.0, float(np.nanmin(reliability)))
    grid = np.linspace(0, max(0.05, float(np.nanmax(reliability))), 60)
    ax.plot(grid, np.sqrt(grid), color=CEILING, linewidth=2)
    ax.axhline(0, color=RULE, linewidth=1, zorder=0)
    ax.set_xlim(low - 0.02, float(grid[-1]) + 0.02)
    ax.set_xlabel("reliability of the averaged response", fontsize=11.5)
    ax.set_ylabel("r per neuroid", fontsize=11.5)
    ax.set_title(shorten(region.model_label(model), 36), color=INK, fontsize=11.5)
