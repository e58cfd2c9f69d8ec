"""What the spaces of a joint encoder explain together, each of them only, and several of them alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from isocortex.reporting.drawing import ACCENT, INK, MUTED, NULL, RULE, SECOND, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.formatting import interval, is_missing, number, shorten
from isocortex.reporting.joint import Entry, Part
from isocortex.reporting.region import Region
from isocortex.reporting.vocabulary import method_label

WIDTH, ROW, TOP, BOTTOM, GAP, VALUE = 944, 30, 30, 46, 28, 58
CHARACTER, LONGEST, BAR = 7.4, 30, 0.62
COLOURS = {"joint": INK, "unique": ACCENT, "shared": SECOND}


def joint_figure(region: Region, entry: Entry) -> Drawing | None:
    """Bars with intervals, one panel per method on a common scale; an outline is what a group explains alone."""
    panels = {method: entry.parts(region, method) for method in entry.methods}
    if not any(np.isfinite(part.value) for parts in panels.values() for part in parts):
        return None
    dots = {method: [entry.parts(region, method, subject) for subject in entry.subjects] for method in entry.methods}
    labels = [shorten(part.label, LONGEST) for part in panels[entry.methods[0]]]
    left = 24 + CHARACTER * max(map(len, labels))
    n = len(panels)
    width = min(520.0, (WIDTH - left - GAP * (n - 1)) / n - VALUE)
    sheet = canvas(left + n * (width + VALUE) + GAP * (n - 1), TOP + ROW * len(labels) + BOTTOM)
    singles = [part for found in dots.values() for parts in found for part in parts]
    limits = _limits([part for parts in panels.values() for part in parts], singles)
    for index, (method, parts) in enumerate(panels.items()):
        ax = axes(sheet, left + index * (width + VALUE + GAP), TOP, width, ROW * len(labels))
        for y, part in enumerate(parts):
            _row(sheet, ax, y, part)
            _subjects(sheet, ax, y, entry.subjects, [found[y] for found in dots[method]])
        _decorate(ax, labels if not index else [], len(parts), limits)
        ax.set_title(method_label(method), color=INK, pad=8)
    several = len(entry.subjects) > 1
    caption = (
        f"{entry.label}: R² on held-out stimuli, median over neuroids{', mean over subjects' if several else ''}, with "
        f"{region.confidence} interval. Top: all spaces together. Blue: what only this one explains, R² of all less R² of "
        "all but it; outline: what it explains alone, so that the difference is what it shares. Orange: R² of all less all "
        "unique parts. Every R² is of a fit of its own, so a unique part is negative where a space only adds noise, and the "
        "shared part where spaces help each other. Nothing is clipped, for that would turn noise into variance explained; "
        "medians need not add up." + (" Grey: single subjects." if several else "")
    )
    about = "; ".join(
        f"{method_label(method)}: " + ", ".join(f"{part.label} {number(part.value)}" for part in parts)
        for method, parts in panels.items()
    )
    return finish(sheet, f"joint-{entry.name}", caption, f"Variance explained by {entry.label}. {about}")


def _limits(parts: Sequence[Part], singles: Sequence[Part]) -> tuple[float, float]:
    values = [value for part in parts for value in (part.value, part.low, part.high, part.alone)]
    values += [part.value for part in singles]
    finite = [value for value in values if value is not None and np.isfinite(value)]
    low, high = min(0.0, *finite), max(0.0, *finite)
    pad = 0.04 * (high - low or 1.0)
    return low - pad * (low < 0), high + pad


def _row(sheet: Canvas, ax: Axes, y: int, part: Part) -> None:
    colour = COLOURS[part.kind]
    if part.alone is not None and np.isfinite(part.alone):
        place = (min(part.alone, 0.0), y - BAR / 2)
        outline = {"facecolor": "none", "edgecolor": colour, "linewidth": 1.0, "zorder": 1}
        ax.add_patch(Rectangle(place, abs(part.alone), BAR, gid=sheet.tip(_tip(part)), **outline))
    if not np.isfinite(part.value):
        return
    place = (min(part.value, 0.0), y - BAR / 2)
    solid = {"facecolor": colour, "alpha": 0.6, "linewidth": 0, "zorder": 2}
    ax.add_patch(Rectangle(place, abs(part.value), BAR, gid=sheet.tip(_tip(part)), **solid))
    if not is_missing(part.low) and not is_missing(part.high):
        ax.plot([part.low, part.high], [y, y], color=INK, linewidth=1.6, solid_capstyle="round", zorder=4)
    style = {"ha": "left", "va": "center", "clip_on": False, "transform": ax.get_yaxis_transform()}
    ax.text(1.02, y, number(part.value), color=INK, fontsize=11, **style)


def _subjects(sheet: Canvas, ax: Axes, y: int, subjects: Sequence[str], parts: Sequence[Part]) -> None:
    if len(subjects) < 2:
        return
    for subject, part in zip(subjects, parts, strict=True):
        if np.isfinite(part.value):
            tip = sheet.tip(f"subject {subject}\n{part.label} {number(part.value)}")
            ax.plot([part.value], [y + BAR / 2], "o", color=NULL, markersize=4.5, zorder=5, gid=tip, clip_on=False)


def _tip(part: Part) -> str:
    lines = [part.label, f"R² {number(part.value)} {interval(part.low, part.high)}"]
    if not is_missing(part.corrected):
        lines.append(f"noise-corrected {number(part.corrected)} {interval(part.corrected_low, part.corrected_high)}")
    if part.alone is not None:
        lines.append(f"alone {number(part.alone)}")
    return "\n".join(lines)


def _decorate(ax: Axes, labels: Sequence[str], n_rows: int, limits: tuple[float, float]) -> None:
    ax.set_ylim(n_rows - 0.5, -0.5)
    ax.set_xlim(*limits)
    ax.set_yticks(range(n_rows) if labels else [], labels, fontsize=12)
    ax.tick_params(axis="y", left=False, labelcolor=INK)
    ax.spines["left"].set_visible(False)
    ax.axvline(0, color=RULE, linewidth=1.2, zorder=0)
    ax.set_xlabel("R² on held-out stimuli", fontsize=11.5, color=MUTED)
