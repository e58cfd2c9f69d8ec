"""Methods × methods: how alike they rank a region's models."""

from __future__ import annotations

from isocortex.reporting.agreement import methods, pairs
from isocortex.reporting.drawing import ACCENT, INK, PAPER, RULE, SECOND, Drawing, axes, canvas, finish
from isocortex.reporting.formatting import interval, is_missing, number, shorten
from isocortex.reporting.region import Region, Row
from isocortex.reporting.vocabulary import method_label

STEP, CHARACTER, LEAST = 34, 7.2, 3


def agreement_figure(region: Region) -> Drawing | None:
    """A dot for every two methods, area by the size of τ; below the diagonal of models, above of all their layers.

    None for fewer than three methods: two have one number.
    """
    names = methods(region)
    if len(names) < LEAST:
        return None
    labels = [shorten(method_label(name), 30) for name in names]
    left, top = 20 + CHARACTER * max(map(len, labels)), 20 + 0.72 * CHARACTER * max(map(len, labels))
    side = STEP * len(names)
    sheet = canvas(left + side + 0.75 * CHARACTER * len(labels[-1]), top + side + 8)
    ax = axes(sheet, left, top, side, side)
    place = {name: number for number, name in enumerate(names)}
    for row in pairs(region):
        first, second = sorted((place[row["method_a"]], place[row["method_b"]]))
        for value, at, of in ((row["value"], (first, second), "models"), (row["over_layers"], (second, first), "layers")):
            if is_missing(value):
                continue
            tip = sheet.tip(_tip(row, of))
            colour = ACCENT if value >= 0 else SECOND
            (dot,) = ax.plot(*[[x] for x in at], "o", markersize=3 + 22 * abs(value) ** 0.5, color=colour, gid=tip)
            dot.set_markerfacecolor(colour if of == "models" else PAPER)
    for k in range(len(names)):
        ax.axhline(k, color=RULE, linewidth=0.7, zorder=0)
        ax.axvline(k, color=RULE, linewidth=0.7, zorder=0)
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_yticks(range(len(names)), labels, color=INK, fontsize=11)
    ax.xaxis.tick_top()
    ax.set_xticks(range(len(names)), labels, rotation=40, ha="left", rotation_mode="anchor", color=INK, fontsize=11)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    caption = (
        "Area: the size of Kendall's τ of two methods. Below the diagonal, filled: over the models; above, open: over all of "
        "their layers. Blue: they rank alike; vermilion: the other way round."
    )
    return finish(sheet, "agreement", caption, f"Agreement of {len(names)} methods about the order of models")


def _tip(row: Row, of: str) -> str:
    names = f"{method_label(row['method_a'])} · {method_label(row['method_b'])}"
    if of == "layers":
        return f"{names}\nτ of layers {number(row['over_layers'])}\n{row['n_layers']} layers"
    spread = f"over draws of stimuli {interval(row['low'], row['high'])}"
    return f"{names}\nτ of models {number(row['value'])}\n{spread}\n{row['n_models']} models"
