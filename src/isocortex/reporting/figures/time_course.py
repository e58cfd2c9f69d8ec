"""Scores in time: one panel per method, one line per model, with ceiling and null."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from isocortex.reporting.drawing import CEILING, INK, MUTED, NULL, RULE, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.figures.beside import look
from isocortex.reporting.formatting import interval, is_missing, number, p_phrase, shorten
from isocortex.reporting.region import Region, Row, any_known
from isocortex.reporting.time_course import SIGNIFICANT, course_methods, course_rows, silent, source, window_text
from isocortex.reporting.vocabulary import method_label

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 944, 300, 76, 34, 230, 52
NAMES, LINE = 24, 20  # letters of a label, pixels of a line of the legend


def course_figures(region: Region) -> list[Drawing]:
    """A drawing for each method of the time course; none where no window has a score."""
    drawn = (_drawing(region, method) for method in course_methods(region))
    return [drawing for drawing in drawn if drawing]


def _drawing(region: Region, method: str) -> Drawing | None:
    rows = [row for row in course_rows(region, method) if not is_missing(row.get("score"))]
    if not rows:
        return None
    models = list(dict.fromkeys(row["model"] for row in rows))
    height = max(HEIGHT, LINE * len(models))
    sheet = canvas(WIDTH, TOP + height + BOTTOM)
    ax = axes(sheet, LEFT, TOP, WIDTH - LEFT - RIGHT, height)
    _bands(ax, rows, len(models))
    for place, model in enumerate(models):
        mine = [row for row in rows if row["model"] == model]
        _line(sheet, ax, mine, place, source(region, model))
        ax.text(1.02, 1 - (place + 0.5) * LINE / height, shorten(source(region, model), NAMES), color=look(place)[0],
                transform=ax.transAxes, va="center", fontsize=11)  # fmt: skip
    ax.set_xlabel("centre of the window after the stimulus (ms)", fontsize=11.5)
    ax.set_ylabel(region.score_name(method) if rows[0]["family"] != "decoding" else "balanced accuracy", fontsize=11.5)
    ax.set_title(method_label(method), color=INK)
    ax.grid(axis="y", color=RULE, linewidth=0.8)
    ax.set_axisbelow(True)
    caption = (
        f"{method_label(method)} in time: score by the centre of the window, with its {region.confidence} interval; filled: "
        f"q below {SIGNIFICANT:g} over windows and models, where the region has a reliable signal."
        + (" Yellow: lower to upper ceiling, of each window's own responses." if any_known(rows, "ceiling_low") else "")
        + (" Grey: from the mean of the null to its 95\u202f% quantile, of all models." if any_known(rows, "null_mean") else "")
    )
    told = (f"{source(region, row['model'])} {window_text(row)} ms {number(row['score'])}" for row in rows)
    about = f"{method_label(method)} in time: {'; '.join(told)}"
    return finish(sheet, f"course-{method}", caption, about)


def centre(row: Row) -> float:
    """Of a row's window, in ms."""
    return 500.0 * (float(row["time_start"]) + float(row["time_end"]))


def _bands(ax: Axes, rows: Sequence[Row], models: int) -> None:
    """The ceiling, which is the region's and the same for all models, and the widest null; a gap where one is unknown."""
    for low, high, colour, alpha in (
        ("ceiling_low", "ceiling_high", CEILING, 0.3),
        ("null_mean", "null_extreme95", NULL, 0.3 if models > 1 else 0.45),
    ):
        if not any_known(rows, low):
            continue
        edges = np.array([[centre(row), _value(row, low), _value(row, high)] for row in rows])
        times = np.unique(edges[:, 0])
        with_both = edges[np.isfinite(edges).all(axis=1)]
        ends = [with_both[with_both[:, 0] == time, 1:] for time in times]
        bottom = [own[:, 0].min() if len(own) else np.nan for own in ends]
        top = [own[:, 1].max() if len(own) else np.nan for own in ends]
        ax.fill_between(times, bottom, top, color=colour, alpha=alpha, linewidth=0, zorder=1)


def _line(sheet: Canvas, ax: Axes, rows: Sequence[Row], place: int, label: str) -> None:
    colour, marker = look(place)
    at = [centre(row) for row in rows]
    ax.plot(at, [row["score"] for row in rows], "-", color=colour, linewidth=1.6, zorder=3)
    for row, x in zip(rows, at, strict=True):
        if not is_missing(row.get("ci_low")) and not is_missing(row.get("ci_high")):
            ax.plot([x, x], [row["ci_low"], row["ci_high"]], color=colour, linewidth=1.2, alpha=0.6, zorder=2)
        q = row.get("q_region")
        filled = not is_missing(q) and float(q or 0) < SIGNIFICANT and not silent(row)
        tip = (
            f"{label}, {window_text(row)} ms: {number(row['score'])} {interval(row.get('ci_low'), row.get('ci_high'))}, "
            f"{p_phrase('q', q)}"
        )
        face = colour if filled else "none"
        ax.plot([x], [row["score"]], marker, color=colour, markerfacecolor=face, markersize=6, zorder=4, gid=sheet.tip(tip))
    ax.tick_params(colors=MUTED)


def _value(row: Row, name: str) -> float:
    value = row.get(name)
    return float("nan") if value is None or is_missing(value) else float(value)
