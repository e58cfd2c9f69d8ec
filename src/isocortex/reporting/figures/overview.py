"""All regions at a glance: regions × models as dots."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from isocortex.reporting.drawing import ACCENT, INK, MUTED, RULE, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.formatting import is_missing, number, p_phrase, percent, shorten
from isocortex.reporting.region import Row

LINE, CHARACTER = 42, 7.6


@dataclass(frozen=True)
class Named:
    """Labels of regions and of models by id, both in the order they are drawn in."""

    regions: Mapping[str, str]
    models: Mapping[str, str]


def overview_figure(
    cells: Mapping[tuple[str, str], Row], named: Named, leading: Mapping[str, Sequence[str]], silent: Collection[str]
) -> Drawing | None:
    """Area: normalized score (the score where no ceiling is known). Filled: best of its region or tied."""
    if not cells:
        return None
    rows, columns = (
        [shorten(label, 24) for label in named.regions.values()],
        [shorten(label, 20) for label in named.models.values()],
    )
    left, top = 24 + CHARACTER * max(map(len, rows)), 24 + 0.68 * CHARACTER * max(map(len, columns))
    step = min(96.0, max(30.0, 700 / len(columns)))
    sheet = canvas(left + step * len(columns) + 0.75 * CHARACTER * len(columns[-1]), top + LINE * len(rows) + 6)
    ax = axes(sheet, left, top, step * len(columns), LINE * len(rows))
    for y, region in enumerate(named.regions):
        ax.axhline(y, color=RULE, linewidth=1, zorder=0)
        if region in silent:
            ax.text(-0.45, y - 0.08, "no reliable signal", color=MUTED, fontsize=11, va="bottom", clip_on=False)
            continue
        for x, model in enumerate(named.models):
            title = f"{named.regions[region]} · {named.models[model]}"
            _dot(sheet, ax, (x, y), cells.get((region, model)), title, model in leading.get(region, ()))
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), rows, color=INK, fontsize=12)
    ax.xaxis.tick_top()
    ax.set_xticks(range(len(columns)), columns, rotation=40, ha="left", rotation_mode="anchor", color=INK)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    caption = (
        "Area: share of what can be explained (the score itself where no ceiling is known); negative ones are not drawn. "
        "Filled: best of its region, or not distinguishable from it."
    )
    return finish(sheet, "overview", caption, f"Map of {len(rows)} regions by {len(columns)} models")


def _dot(sheet: Canvas, ax: Axes, place: tuple[int, int], row: Row | None, title: str, leading: bool) -> None:
    size = None if row is None else _size(row)
    if row is None or size is None:
        return
    lines = [title, f"score {number(row.get('score'))}", f"normalized {percent(row.get('normalized'))}"]
    if not is_missing(row.get("q_study")):
        lines.append(p_phrase("q", row["q_study"]))
    edge = ACCENT if leading else MUTED
    tip = sheet.tip("\n".join(lines))
    (dot,) = ax.plot(
        [place[0]], [place[1]], "o", markersize=2 + 28 * size**0.5, markeredgewidth=1.5, markeredgecolor=edge, gid=tip
    )
    dot.set_markerfacecolor(ACCENT if leading else "none")


def _size(row: Row) -> float | None:
    value = row.get("normalized") if not is_missing(row.get("normalized")) else row.get("calibrated")
    value = row.get("score") if is_missing(value) else value
    if value is None or is_missing(value) or value <= 0:
        return None
    return min(float(value), 1.2)
