"""Layer profiles: one panel per model, score by depth, per subject and as their mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from isocortex.reporting.drawing import ACCENT, CEILING, INK, MUTED, NULL, RULE, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.formatting import is_missing, number, shorten
from isocortex.reporting.region import ALL, Region, Row, any_known, ordered
from isocortex.reporting.verdicts import ranked
from isocortex.reporting.vocabulary import method_label

if TYPE_CHECKING:
    from isocortex.inference.verdict import Verdict

COLUMNS, WIDTH, PANEL, GAP, LEFT, TOP = 4, 944, 130, 26, 52, 30
Profile = dict[str, float]


def profiles(region: Region, method: str, model: str) -> tuple[list[str], dict[str, Profile]]:
    """Layers of a model in order, and per subject the score at each; from the cell where it is there, else from the table."""
    for name, cell in region.datasets(method):
        if name == model and "layer_score" in cell and "layer" in cell.coords:
            layers = [str(layer) for layer in cell["layer"].values]
            values = cell["layer_score"].transpose("subject", "layer").values
            subjects = [str(subject) for subject in cell["subject"].values]
            return layers, {
                subject: dict(zip(layers, map(float, line), strict=True))
                for subject, line in zip(subjects, values, strict=True)
            }
    found: dict[str, Profile] = defaultdict(dict)
    for row in region.scores:
        if row["method"] == method and row["model"] == model and row.get("layer") and not is_missing(row.get("score")):
            found[str(row["subject"])][row["layer"]] = row["score"]
    return list(dict.fromkeys(layer for line in found.values() for layer in line)), dict(found)


def layers_figure(region: Region, method: str, verdict: Verdict) -> Drawing | None:
    """Small multiples that share their score axis; a ring marks the chosen layer, the band is the ceiling."""
    rows = [row for row in ordered(region.rows(method), ranked(verdict)) if row.get("layer")]
    panels = [(row, *profiles(region, method, row["model"])) for row in rows]
    panels = [panel for panel in panels if any(np.isfinite(list(line.values())).any() for line in panel[2].values() if line)]
    if not panels or all(len(layers) == 1 for _, layers, _ in panels):
        return None
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    width = (WIDTH - LEFT - GAP * (columns - 1)) / columns if columns > 1 else 420
    names = 22 + 5.2 * max(len(shorten(layer, 14)) for _, layers, _ in panels for layer in layers)
    sheet = canvas(LEFT + columns * width + GAP * (columns - 1), lines * (TOP + PANEL + names))
    limits = _limits(panels)
    for index, (row, layers, curves) in enumerate(panels):
        line, column = divmod(index, columns)
        ax = axes(sheet, LEFT + column * (width + GAP), TOP + line * (TOP + PANEL + names), width, PANEL)
        _panel(sheet, ax, row, layers, curves)
        ax.set_ylim(*limits)
        ax.set_title(
            shorten(region.model_label(row["model"]), int(width / 7.5)),
            color=ACCENT if row["model"] == verdict.best else INK,
            pad=8,
        )
        if column:
            ax.tick_params(labelleft=False)
        else:
            ax.set_ylabel(region.score_name(method), fontsize=11)
    caption = (
        f"{method_label(method)} by layer. Thick: mean over subjects; thin: each subject; ring: the chosen layer, "
        "chosen on other data than the score is taken from."
        + (" Yellow: ceiling of the chosen layer's score." if any_known(rows, "ceiling_low") else "")
    )
    about = "Layer profiles: " + "; ".join(f"{region.model_label(row['model'])} chose {row['layer']}" for row, _, _ in panels)
    return finish(sheet, f"layers-{method}", caption, about)


def _limits(panels: Sequence[tuple[Row, list[str], dict[str, Profile]]]) -> tuple[float, float]:
    values = [value for _, _, curves in panels for line in curves.values() for value in line.values()]
    values += [
        row[key] for row, _, _ in panels for key in ("ceiling_low", "ceiling_high", "score") if not is_missing(row.get(key))
    ]
    finite = np.asarray([value for value in values if np.isfinite(value)])
    low, high = min(0.0, float(finite.min())), float(finite.max())
    pad = 0.06 * (high - low or 1.0)
    return low - pad, high + pad


def _panel(sheet: Canvas, ax: Axes, row: Row, layers: list[str], curves: dict[str, Profile]) -> None:
    ceiling = [row[key] for key in ("ceiling_low", "ceiling_high") if not is_missing(row.get(key))]
    if ceiling:
        ax.axhspan(min(ceiling), max(ceiling), color=CEILING, alpha=0.35, linewidth=0)
        ax.axhline(min(ceiling), color=CEILING, linewidth=1.2)
    ax.axhline(0, color=RULE, linewidth=1)
    x = np.arange(len(layers))
    single = "o" if len(layers) == 1 else None
    for subject in [name for name in curves if name != ALL]:
        values = [curves[subject].get(layer, np.nan) for layer in layers]
        ax.plot(x, values, color=NULL, linewidth=1, alpha=0.8, marker=single, markersize=4, gid=sheet.tip(f"subject {subject}"))
    mean = curves.get(ALL) or next(iter(curves.values()))
    values = np.asarray([mean.get(layer, np.nan) for layer in layers])
    ax.plot(x, values, color=INK, linewidth=2.2, zorder=3)
    for place, layer in enumerate(layers):
        if np.isfinite(values[place]):
            ax.plot(
                [place],
                [values[place]],
                "o",
                color=INK,
                markersize=4.5,
                zorder=4,
                gid=sheet.tip(f"{layer}\nscore {number(values[place])}"),
            )
    if row["layer"] in layers and np.isfinite(values[layers.index(row["layer"])]):
        chosen = layers.index(row["layer"])
        ax.plot(
            [chosen],
            [values[chosen]],
            "o",
            markersize=12,
            markerfacecolor="none",
            markeredgecolor=ACCENT,
            markeredgewidth=2.2,
            zorder=5,
        )
    ax.set_xlim(-0.5, len(layers) - 0.5)
    step = max(1, -(-len(layers) // 12))
    shown = [place for place in x if place % step == 0 or layers[place] == row["layer"]]
    ax.set_xticks(
        shown, [shorten(layers[place], 14) for place in shown], rotation=45, ha="right", rotation_mode="anchor", fontsize=10.5
    )
    ax.tick_params(labelcolor=MUTED)
