"""Readouts side by side: below each model's name its encoder, its readouts and their twins, on one scale of r."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.text import Text

from isocortex.reporting.drawing import (
    ACCENT,
    CEILING,
    INK,
    MUTED,
    NULL,
    PAPER,
    RULE,
    SECOND,
    Canvas,
    Drawing,
    axes,
    canvas,
    finish,
)
from isocortex.reporting.figures.ranking import band, score_tip
from isocortex.reporting.formatting import is_missing, number, percent, shorten
from isocortex.reporting.readouts import beside, readout_label
from isocortex.reporting.region import Region, Row, any_known
from isocortex.study.readouts import TWINS

WIDTH, ROW, HEADING, GAP, TOP, BOTTOM, LEFT, RIGHT = 944, 22, 24, 10, 30, 46, 268, 150
LONGEST = 34  # letters of a method's name, and of a model's beside the axis


@dataclass(frozen=True)
class _Line:
    """A row of the figure at height `y`, in pixels from the top of the axes."""

    y: float
    row: Row
    label: str


def readouts_figure(region: Region) -> Drawing | None:
    """Dots with intervals over the band of the ceiling; grey the null; hollow what is a reference, a twin or contaminated."""
    headings, lines, height = _places(region)
    if not lines:
        return None
    sheet = canvas(WIDTH, TOP + height + BOTTOM)
    ax = axes(sheet, LEFT, TOP, WIDTH - LEFT - RIGHT, height)
    for line in lines:
        _draw(sheet, ax, line)
    _decorate(ax, headings, height)
    rows = [line.row for line in lines]
    caption = (
        "Median r over neuroids of every readout at its chosen layer, on stimuli that no fit has seen, with "
        f"{region.confidence} interval; models in the order of their best readout. Filled: readouts. Hollow: the encoder, for "
        "comparison, and twins of the transformer, one without a warp and one whose localiser sees other images. "
        + ("Yellow: lower to upper ceiling. " if any_known(rows, "ceiling_low") else "")
        + ("Grey: from the mean of the null to its 95\u202f% quantile. " if any_known(rows, "null_mean") else "")
        + (
            "Orange, below the rest: trained on data of this study, shown and not tested."
            if any(row.get("contaminated") for row in rows)
            else ""
        )
    )
    about = "; ".join(f"{region.model_label(row['model'])}, {readout_label(row)} {number(row['score'])}" for row in rows)
    return finish(sheet, "readouts", caption.strip(), f"Readouts side by side: {about}")


def _places(region: Region) -> tuple[list[tuple[float, str]], list[_Line], float]:
    """Headings with their heights, rows with theirs, and the height of all."""
    headings, lines, y = [], [], 0.0
    for model, rows in beside(region).items():
        known = [row for row in rows if not is_missing(row.get("score"))]
        if not known:
            continue
        headings.append((y + HEADING / 2, region.model_label(model)))
        y += HEADING
        for row in known:
            lines.append(_Line(y + ROW / 2, row, readout_label(row)))
            y += ROW
        y += GAP
    return headings, lines, y


def _draw(sheet: Canvas, ax: Axes, line: _Line) -> None:
    row, y = line.row, line.y
    band(ax, y, (row.get("ceiling_low"), row.get("ceiling_high")), CEILING, (ROW, 0.35))
    band(ax, y, (row.get("null_mean"), row.get("null_extreme95")), NULL, (0.6 * ROW, 0.45))
    aside = row["method"] in TWINS or row.get("family") == "encoding"
    colour = SECOND if row.get("contaminated") else MUTED if aside else ACCENT
    if not is_missing(row.get("ci_low")) and not is_missing(row.get("ci_high")):
        ax.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, linewidth=1.8, solid_capstyle="round", zorder=3)
    face = PAPER if aside or row.get("contaminated") else colour
    style = {"markersize": 7.5, "markerfacecolor": face, "markeredgecolor": colour, "markeredgewidth": 1.5, "zorder": 4}
    ax.plot(
        [row["score"]],
        [y],
        "o",
        gid=sheet.tip(score_tip(line.label, row, "trained on data of this study" if row.get("contaminated") else "")),
        **style,
    )
    text = {"va": "center", "clip_on": False, "transform": ax.get_yaxis_transform(), "fontsize": 11}
    ax.text(-0.02, y, shorten(line.label, LONGEST), ha="right", color=MUTED if aside else INK, **text)
    ax.text(1.10, y, number(row["score"]), ha="right", color=INK, **text)
    ax.text(1.26, y, percent(row.get("normalized")), ha="right", color=INK, **text)


def _decorate(ax: Axes, headings: Sequence[tuple[float, str]], height: float) -> None:
    ax.set_ylim(height, 0)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, 0.0), high)
    ax.axvline(0, color=RULE, linewidth=1, zorder=0)
    ax.set_xlabel("median r", fontsize=11.5)
    for y, label in headings:
        place = {"va": "center", "ha": "left", "clip_on": False, "transform": ax.get_yaxis_transform()}
        # Above the rows and from the figure's left edge, so that no label is too long for its column.
        made: Text = ax.text(-LEFT / (WIDTH - LEFT - RIGHT) + 0.004, y, shorten(label, 90), color=INK, weight="bold", **place)
        made.set_fontsize(11.5)
    header = {"va": "bottom", "fontsize": 11, "color": MUTED, "clip_on": False, "transform": ax.transAxes}
    ax.text(1.10, 1.0 + 4 / height, "score", ha="right", **header)
    ax.text(1.26, 1.0 + 4 / height, "normalized", ha="right", **header)
