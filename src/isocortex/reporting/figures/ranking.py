"""Models in order: score, interval, ceiling and null, one row each, with ties bracketed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from isocortex.reporting.drawing import ACCENT, CEILING, INK, MUTED, NULL, PAPER, RULE, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.formatting import interval, is_missing, number, p_phrase, percent, shorten, span
from isocortex.reporting.region import Region, Row, any_known, ordered
from isocortex.reporting.verdicts import leaders, ranked
from isocortex.reporting.vocabulary import method_label

if TYPE_CHECKING:
    from isocortex.inference.verdict import Verdict

WIDTH, ROW, TOP, BOTTOM, RIGHT = 944, 30, 30, 46, 190
CHARACTER, LONGEST = 7.6, 28  # pixels of an average letter, letters of the longest label shown


@dataclass(frozen=True)
class _Place:
    """Where a row stands and how it is drawn."""

    y: int
    row: Row
    label: str
    ranked: bool
    leading: bool


def ranking_figure(region: Region, method: str, verdict: Verdict) -> Drawing | None:
    """Dots with intervals over a band from the lower to the upper ceiling; the grey bar is the null."""
    rows = [row for row in ordered(region.rows(method), ranked(verdict)) if not is_missing(row.get("score"))]
    if not rows:
        return None
    together = leaders(verdict)
    places = [
        _Place(y, row, region.model_label(row["model"]), row["model"] in ranked(verdict), row["model"] in together)
        for y, row in enumerate(rows)
    ]
    sheet = canvas(WIDTH, TOP + ROW * len(rows) + BOTTOM)
    left = 24 + CHARACTER * max(len(shorten(place.label, LONGEST)) for place in places)
    ax = axes(sheet, left, TOP, WIDTH - left - RIGHT, ROW * len(rows))
    for place in places:
        _draw_row(sheet, ax, place)
    _decorate(ax, places, region.score_name(method))
    _ties(ax, [place.y for place in places if place.leading])
    caption = (
        f"{method_label(method)}: {region.score_name(method)} at each model's chosen layer, "
        "on stimuli that no fit has seen, with interval. "
        + (
            "Yellow: lower to upper ceiling, at the score's own stimuli, repeats, neuroids. "
            if any_known(rows, "ceiling_low")
            else ""
        )
        + ("Grey: from the mean of the null to its 95\u202f% quantile." if any_known(rows, "null_mean") else "")
        + (" Filled dots joined at the right cannot be told apart from the best." if len(together) > 1 else "")
        + (" Hollow: shown, not ranked." if not all(place.ranked for place in places) else "")
    )
    about = "Ranking: " + "; ".join(f"{place.label} {number(place.row['score'])}" for place in places)
    return finish(sheet, f"ranking-{method}", caption, about)


def _draw_row(sheet: Canvas, ax: Axes, place: _Place) -> None:
    row, y = place.row, place.y
    band(ax, y, (row.get("ceiling_low"), row.get("ceiling_high")), CEILING, (1.0, 0.35))
    band(ax, y, (row.get("null_mean"), row.get("null_extreme95")), NULL, (0.62, 0.45))
    colour = ACCENT if place.leading else (INK if place.ranked else MUTED)
    if not is_missing(row.get("ci_low")) and not is_missing(row.get("ci_high")):
        ax.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, linewidth=2, solid_capstyle="round", zorder=3)
    face = colour if place.ranked else PAPER
    ax.plot(
        [row["score"]],
        [y],
        "o",
        markersize=9,
        markerfacecolor=face,
        markeredgecolor=colour,
        markeredgewidth=1.6,
        zorder=4,
        gid=sheet.tip(score_tip(place.label, place.row, "" if place.ranked else "not ranked")),
    )
    style = {"va": "center", "clip_on": False, "transform": ax.get_yaxis_transform()}
    ax.text(-0.02, y, shorten(place.label, LONGEST), ha="right", color=colour if place.leading else INK, **style)
    ax.text(1.10, y, number(row["score"], 2), ha="right", color=INK, **style)
    ax.text(1.24, y, percent(row.get("normalized")), ha="right", color=INK if place.ranked else MUTED, **style)


def band(ax: Axes, y: float, ends: tuple[float | None, float | None], colour: str, size: tuple[float, float]) -> None:
    """A bar between two ends, of height size[0] and opacity size[1]; a missing end makes it a line."""
    known = [value for value in ends if value is not None and not is_missing(value)]
    if not known:
        return
    height, opacity = size
    start, width = min(known), max(known) - min(known)
    if width > 0:
        ax.add_patch(Rectangle((start, y - height / 2), width, height, facecolor=colour, alpha=opacity, linewidth=0, zorder=1))
    ax.plot([known[0]] * 2, [y - height / 2, y + height / 2], color=colour, linewidth=1.2, zorder=1.5, solid_capstyle="butt")


def score_tip(label: str, row: Row, note: str = "") -> str:
    """What a score says when it is pointed at: its layer, interval, share, ceiling and p, and a last line of its own."""
    lines = [
        label + (f" · {row['layer']}" if row.get("layer") else ""),
        f"score {number(row['score'])} {interval(row.get('ci_low'), row.get('ci_high'))}",
    ]
    if not is_missing(row.get("normalized")):
        lines.append(f"normalized {number(row['normalized'])}")
    if not is_missing(row.get("ceiling_low")):
        lines.append(f"ceiling {span(row['ceiling_low'], row.get('ceiling_high'))}")
    if not is_missing(row.get("p")):
        lines.append(p_phrase("p", row["p"]))
    return "\n".join([*lines, *filter(None, [note])])


def _decorate(ax: Axes, places: Sequence[_Place], score: str) -> None:
    ax.set_ylim(len(places) - 0.5, -0.5)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, 0.0), high)
    ax.axvline(0, color=RULE, linewidth=1, zorder=0)
    ax.set_xlabel(score, fontsize=11.5)
    header = {"va": "bottom", "fontsize": 11, "color": MUTED, "clip_on": False, "transform": ax.transAxes}
    ax.text(1.10, 1.01, "score", ha="right", **header)
    ax.text(1.24, 1.01, "normalized", ha="right", **header)


def _ties(ax: Axes, rows: Sequence[int]) -> None:
    if len(rows) < 2:
        return
    style = {"color": ACCENT, "clip_on": False, "transform": ax.get_yaxis_transform(), "linewidth": 1.6}
    ax.plot([1.275, 1.275], [min(rows), max(rows)], **style)
    for y in rows:
        ax.plot([1.26, 1.275], [y, y], **style)
