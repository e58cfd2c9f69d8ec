"""Descriptors along the depth of models, one panel each, with the region as a band across."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from isocortex.reporting.drawing import INK, MUTED, NULL, RULE, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.figures.beside import beside, look
from isocortex.reporting.formatting import interval, is_missing, number, shorten
from isocortex.reporting.geometry import Series, descriptors, mean_row, models, region_rows, series, series_label
from isocortex.reporting.region import ALL, Region, Row
from isocortex.reporting.vocabulary import method_label

WIDTH, PANEL, LEFT, TOP, RIGHT = 440, 190, 62, 30, 12
LINE = 21  # pixels of a line of the key
WIDE = 6.0  # times between the smallest and the largest value from which on an axis is logarithmic
NAMED = 12  # layers that are named along an axis
UNITS = {
    **dict.fromkeys(("participation_ratio", "participation_ratio_corrected", "participation_ratio_cv"), "dimensions"),
    **dict.fromkeys(("effective_rank", "two_nn", "local_rank"), "dimensions"),
    **dict.fromkeys(("diffusion_entropy", "diffusion_information"), "bits"),
    "von_neumann_entropy": "nats",
    "parallelism": "mean cosine",
    "ccgp": "accuracy",
    "label_alignment": "CKA",
}


# Layers have no noise: the region's signal alone stands beside them, too.
CROSSED, LIKE_CROSSED = "participation_ratio_cv", ("participation_ratio", "participation_ratio_corrected")


def profiles_figure(region: Region) -> Drawing | None:
    """Small multiples: a descriptor each, a line per model over its layers; None where no layer was described."""
    shown = [(method, series(region, method)) for method in descriptors(region)]
    shown = [(method, lines) for method, lines in shown if lines]
    if not shown:
        return None
    names = _common_layers([line for _, lines in shown for line in lines])
    places = {series_label(region, name): place for place, name in enumerate(models(region))}
    panels = [_panel(region, method, lines, places, names) for method, lines in shown]
    panels.append(_key(region, places))
    caption = (
        "Geometry along depth: each model's layers in their order, from the first (left) to the last (right), with their "
        f"{region.confidence} intervals over stimuli; a model of one layer stands in the middle. Black line and band: the "
        "region, mean over subjects, and its interval; thin lines: each subject. Dots: mean of the region's null."
    )
    about = "; ".join(f"{method_label(method)}: {_said(region, method, lines)}" for method, lines in shown)
    return beside(panels, "geometry-profiles", caption, f"Geometry along depth. {about}")


def _said(region: Region, method: str, lines: Sequence[Series]) -> str:
    own = mean_row(region, method)
    parts = [f"region {number(own['score'])}"] if own else []
    for line in lines:
        known = [line.rows[layer]["score"] for layer in line.layers if layer in line.rows]
        ends = number(known[0]) if len(known) == 1 else f"{number(known[0])} to {number(known[-1])}"
        parts.append(f"{line.label} {ends}")
    return ", ".join(parts)


def _common_layers(lines: Sequence[Series]) -> tuple[str, ...]:
    """The layers' names where all models of several layers call them alike, and few enough to be written."""
    several = {line.layers for line in lines if len(line.layers) > 1}
    found = next(iter(several)) if len(several) == 1 else ()
    return found if len(found) <= NAMED else ()


def _panel(region: Region, method: str, lines: Sequence[Series], places: dict[str, int], names: tuple[str, ...]) -> Drawing:
    foot = 26 + (5.2 * max(len(shorten(name, 14)) for name in names) if names else 16)
    sheet = canvas(WIDTH, TOP + PANEL + foot)
    ax = axes(sheet, LEFT, TOP, WIDTH - LEFT - RIGHT, PANEL)
    _band(sheet, ax, region_rows(region, method))
    crossed = mean_row(region, CROSSED) if method in LIKE_CROSSED else None
    if crossed:
        tip = f"region, cross-validated\n{number(crossed['score'])} {interval(crossed.get('ci_low'), crossed.get('ci_high'))}"
        ax.axhline(crossed["score"], color=INK, linewidth=1.6, linestyle=(0, (5, 3)), zorder=2, gid=sheet.tip(tip))
    for line in lines:
        _line(sheet, ax, line, places[line.label])
    _scale(ax, [*region_rows(region, method), *(row for line in lines for row in line.rows.values())])
    ax.set_xlim(-0.04, 1.04)
    if names:
        ticks = np.arange(len(names)) / (len(names) - 1)
        ax.set_xticks(ticks, [shorten(name, 14) for name in names], rotation=45, ha="right", rotation_mode="anchor")
    else:
        ax.set_xticks([0, 1], ["first layer", "last layer"])
        for text, side in zip(ax.get_xticklabels(), ("left", "right"), strict=True):
            text.set_horizontalalignment(side)
    ax.tick_params(labelcolor=MUTED)
    ax.grid(axis="y", color=RULE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_title(method_label(method), color=INK, pad=8)
    ax.set_ylabel(UNITS.get(method, ""), fontsize=11)
    return finish(sheet, f"geometry-{method}", "", f"{method_label(method)}: {_said(region, method, lines)}")


def _band(sheet: Canvas, ax: Axes, rows: Sequence[Row]) -> None:
    """The region: mean over subjects with its interval, each subject, and the mean of the null."""
    for row in rows:
        tip = f"{row['subject'] if row['subject'] != ALL else 'region, all subjects'}\n{number(row['score'])}"
        if row["subject"] != ALL:
            ax.axhline(row["score"], color=NULL, linewidth=1, alpha=0.8, zorder=1, gid=sheet.tip(tip))
            continue
        if not is_missing(row.get("ci_low")):
            ax.axhspan(row["ci_low"], row["ci_high"], color=INK, alpha=0.13, linewidth=0, zorder=0)
        if not is_missing(row.get("null_mean")):
            null = f"null: {number(row['null_mean'])}"
            ax.axhline(row["null_mean"], color=MUTED, linewidth=1.4, linestyle=(0, (1, 2)), zorder=1, gid=sheet.tip(null))
        tip += f" {interval(row.get('ci_low'), row.get('ci_high'))}"
        ax.axhline(row["score"], color=INK, linewidth=2.2, zorder=2, gid=sheet.tip(tip))


def depth(k: int, of: int) -> float:
    """Where the k-th of several layers stands between the first (0) and the last (1); the middle for one alone."""
    return k / (of - 1) if of > 1 else 0.5


def _line(sheet: Canvas, ax: Axes, line: Series, place: int) -> None:
    colour, marker = look(place)
    known = [(depth(k, len(line.layers)), line.rows[layer]) for k, layer in enumerate(line.layers) if layer in line.rows]
    x = np.array([at for at, _ in known])
    low, high = (np.array([_value(row, key) for _, row in known]) for key in ("ci_low", "ci_high"))
    ax.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0, zorder=2)
    ax.plot(x, [row["score"] for _, row in known], "-", color=colour, linewidth=1.8, zorder=3)
    for at, row in known:
        if len(known) == 1 and not is_missing(row.get("ci_low")):
            ax.plot([at, at], [row["ci_low"], row["ci_high"]], color=colour, linewidth=1.6, zorder=3)
        tip = f"{line.label}\n{row['layer']}\n{number(row['score'])} {interval(row.get('ci_low'), row.get('ci_high'))}"
        ax.plot([at], [row["score"]], marker, color=colour, markersize=5, zorder=4, gid=sheet.tip(tip))


def _scale(ax: Axes, rows: Sequence[Row]) -> None:
    """A logarithmic axis for positive values that differ by much."""
    keys = ("score", "ci_low", "ci_high")
    values = np.array([_value(row, key) for row in rows for key in keys])
    scores = np.array([_value(row, "score") for row in rows])
    scores = scores[np.isfinite(scores)]
    if not len(scores) or scores.min() <= 0 or scores.max() < WIDE * scores.min():
        return
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    positive = values[np.isfinite(values) & (values > 0)]
    # An interval that reaches to zero or below would take the axis with it.
    ax.set_ylim(max(positive.min(), 0.5 * scores.min()) / 1.15, positive.max() * 1.15)


def _value(row: Row, key: str) -> float:
    value = row.get(key)
    return float("nan") if value is None or is_missing(value) else float(value)


def _key(region: Region, places: dict[str, int]) -> Drawing:
    """Which line is whose."""
    own = [(region.label, INK, "", 2.2, "-"), ("a subject", NULL, "", 1.0, "-"), ("null of the region", MUTED, "", 1.4, ":")]
    if mean_row(region, CROSSED):
        own.insert(1, ("the same, cross-validated over repeats", INK, "", 1.6, "--"))
    lines = [*own, *((label, *look(place), 1.8, "-") for label, place in places.items())]
    height = TOP + LINE * len(lines)
    sheet = canvas(WIDTH, height)
    ax = axes(sheet, LEFT, TOP / 2, WIDTH - LEFT - RIGHT, LINE * len(lines))
    ax.set_axis_off()
    ax.set_xlim(0, WIDTH - LEFT - RIGHT)
    ax.set_ylim(len(lines), 0)
    for k, (label, colour, marker, width, dash) in enumerate(lines):
        ax.plot([0, 14, 28], [k + 0.5] * 3, dash, marker=marker or None, markevery=[1], color=colour, linewidth=width)
        ax.text(38, k + 0.5, shorten(label, 44), color=INK, va="center", fontsize=11.5)
    return finish(sheet, "geometry-key", "", f"Lines: {', '.join(label for label, *_ in lines)}")
