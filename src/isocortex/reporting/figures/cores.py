"""A core beside the encoders that read models, how it was trained, and what its first layer looks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from isocortex.reporting.cores import Entry, beside_cores, core_entries
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
from isocortex.reporting.figures.ranking import band
from isocortex.reporting.formatting import interval, is_missing, number, p_phrase, shorten
from isocortex.reporting.region import ALL, Region, Row, any_known
from isocortex.reporting.vocabulary import method_label

WIDTH, ROW, TOP, BOTTOM, RIGHT = 944, 28, 26, 46, 90
CHARACTER, LONGEST = 7.6, 44
CURVE_WIDTH, CURVE_HEIGHT, CURVES = 280, 190, 3  # of one core's training, and how many stand side by side
FILTER, FILTER_GAP, FILTERS = 38, 5, 64  # pixels of a filter and between two, and how many are shown


def scores_figure(region: Region) -> Drawing | None:
    """Cores with their single networks and their control above the models' encoder, on one scale of r."""
    entries, models = core_entries(region), beside_cores(region)
    if not entries:
        return None
    labels = [name for entry in entries for name in (entry.label, "trained on shuffled responses")]
    labels += [f"{region.model_label(row['model'])}, {method_label(row['method'])}" for row in models]
    labels = [shorten(label, LONGEST) for label in labels]
    sheet, left = canvas(WIDTH, TOP + ROW * len(labels) + BOTTOM), 24 + CHARACTER * max(map(len, labels))
    ax = axes(sheet, left, TOP, WIDTH - left - RIGHT, ROW * len(labels))
    for place, entry in enumerate(entries):
        _core(sheet, ax, 2 * place, entry)
    for place, row in enumerate(models, start=2 * len(entries)):
        _model(sheet, ax, place, row)
    _decorate(ax, labels, 2 * len(entries))
    rows = [*(entry.row for entry in entries), *models]
    caption = (
        "Median r over neuroids on stimuli that nothing was fitted to, with "
        f"{region.confidence} interval. Large dot: the mean prediction of a core's networks; small dots: each network alone. "
        "Below it a network that was trained on shuffled responses, which should reach zero. "
        + ("Yellow: lower to upper ceiling. " if any_known(rows, "ceiling_low") else "")
        + ("Grey: from the mean of the null to its 95\u202f% quantile. " if any_known(rows, "null_mean") else "")
        + ("Orange: trained on data of this study. " if any(row.get("contaminated") for row in models) else "")
    )
    about = "; ".join(f"{region.model_label(row['model'])} {number(row['score'], 2)}" for row in rows)
    return finish(sheet, "core-scores", caption.strip(), f"Cores beside models: {about}")


def _core(sheet: Canvas, ax: Axes, y: int, entry: Entry) -> None:
    seeds = entry.cell["seed_score"].sel({"subject": ALL}).values
    _dot(sheet, ax, y, entry.row, ACCENT, ACCENT)
    for place, value in enumerate(seeds):
        if np.isfinite(value):
            tip = sheet.tip(f"network {place + 1}\nr {number(float(value))}")
            ax.plot([value], [y + 0.3], "o", color=NULL, markersize=4.5, zorder=5, gid=tip)
    control = float(entry.cell["control_score"].sel({"subject": ALL}))
    if np.isfinite(control):
        style = {"markersize": 6.5, "markerfacecolor": PAPER, "markeredgecolor": MUTED, "markeredgewidth": 1.4, "zorder": 4}
        ax.plot([control], [y + 1], "o", gid=sheet.tip(f"shuffled responses\nr {number(control)}"), **style)
        _value(ax, y + 1, control)


def _model(sheet: Canvas, ax: Axes, y: int, row: Row) -> None:
    seen = bool(row.get("contaminated"))
    _dot(sheet, ax, y, row, SECOND if seen else INK, PAPER if seen else INK)


def _dot(sheet: Canvas, ax: Axes, y: int, row: Row, colour: str, face: str) -> None:
    band(ax, y, (row.get("ceiling_low"), row.get("ceiling_high")), CEILING, (1.0, 0.35))
    band(ax, y, (row.get("null_mean"), row.get("null_extreme95")), NULL, (0.62, 0.45))
    if is_missing(row.get("score")):
        return
    if not is_missing(row.get("ci_low")) and not is_missing(row.get("ci_high")):
        ax.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, linewidth=2, solid_capstyle="round", zorder=3)
    p = f"\n{p_phrase('p', row['p'])}" if not is_missing(row.get("p")) else ""
    tip = sheet.tip(f"r {number(row['score'])} {interval(row.get('ci_low'), row.get('ci_high'))}{p}")
    style = {"markersize": 8.5, "markerfacecolor": face, "markeredgecolor": colour, "markeredgewidth": 1.6, "zorder": 4}
    ax.plot([row["score"]], [y], "o", gid=tip, **style)
    _value(ax, y, float(row["score"]))


def _value(ax: Axes, y: int, value: float) -> None:
    style = {"ha": "right", "va": "center", "clip_on": False, "transform": ax.get_yaxis_transform(), "fontsize": 11}
    ax.text(1.10, y, number(value), color=INK, **style)


def _decorate(ax: Axes, labels: Sequence[str], own: int) -> None:
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_yticks(range(len(labels)), labels, fontsize=11.5)
    ax.tick_params(axis="y", left=False, labelcolor=INK)
    ax.spines["left"].set_visible(False)
    ax.axvline(0, color=RULE, linewidth=1.2, zorder=0)
    if own < len(labels):
        ax.axhline(own - 0.5, color=RULE, linewidth=1)
    ax.set_xlabel("median r", fontsize=11.5, color=MUTED)


def curves_figure(region: Region) -> Drawing | None:
    """Error of training (thin) and of validation (thick) by epoch, one line per network; a dot at the epoch that was kept."""
    entries = core_entries(region)[:CURVES]
    if not entries:
        return None
    sheet = canvas(56 + len(entries) * (CURVE_WIDTH + 60), CURVE_HEIGHT + 76)
    for place, entry in enumerate(entries):
        ax = axes(sheet, 52 + place * (CURVE_WIDTH + 60), 28, CURVE_WIDTH, CURVE_HEIGHT)
        _curves(sheet, ax, entry)
        ax.set_title(shorten(entry.label, 34), color=INK, fontsize=11.5)
        ax.set_ylabel("error" if not place else "", fontsize=11.5)
    caption = (
        "Mean error over neuroids by epoch, in units of the training variance (1: no better than the mean). Thick blue: "
        "validation stimuli, which end the training; thin grey: training stimuli. One line per network, a dot at the epoch "
        "that was kept."
    )
    ends = [f"{entry.label} {number(float(_kept(entry).mean()), 2)}" for entry in entries]
    return finish(sheet, "core-curves", caption, "Training curves; validation error that was kept: " + "; ".join(ends))


def _kept(entry: Entry) -> np.ndarray:
    """Validation error of each network at the epoch that was kept."""
    errors, best = entry.cell["history_validation"].values, entry.cell["best_epoch"].values.astype(int)
    return errors[np.arange(len(best)), best]


def _curves(sheet: Canvas, ax: Axes, entry: Entry) -> None:
    train, validation = (entry.cell[f"history_{name}"].values for name in ("train", "validation"))
    epochs = np.arange(1, train.shape[1] + 1)
    for seed, (own, checked, best) in enumerate(
        zip(train, validation, entry.cell["best_epoch"].values.astype(int), strict=True)
    ):
        ax.plot(epochs, own, color=NULL, linewidth=0.9)
        ax.plot(epochs, checked, color=ACCENT, linewidth=1.6)
        tip = sheet.tip(f"network {seed + 1}\nepoch {best + 1}\nvalidation {number(float(checked[best]))}")
        ax.plot([best + 1], [checked[best]], "o", color=ACCENT, markersize=5, zorder=4, gid=tip)
    ax.axhline(1.0, color=RULE, linewidth=1, zorder=0)
    top = float(np.nanmax(validation)) if np.isfinite(validation).any() else 1.0
    ax.set_ylim(0, min(max(1.1, top * 1.05), 2.0))
    ax.set_xlim(1, max(2, train.shape[1]))
    ax.set_xlabel("epoch", fontsize=11.5, color=MUTED)


def filters_figure(entry: Entry) -> Drawing | None:
    """First filters of the network with the least validation error, those with the most weight first."""
    filters = entry.cell["filters"].values
    order = np.argsort(-np.square(filters).sum((1, 2, 3)), kind="stable")[:FILTERS]
    across = min(len(order), 16)
    down = -(-len(order) // across)
    sheet = canvas(across * (FILTER + FILTER_GAP) + FILTER_GAP, down * (FILTER + FILTER_GAP) + FILTER_GAP)
    for place, which in enumerate(order):
        column, line = place % across, place // across
        ax = axes(sheet, FILTER_GAP + column * (FILTER + FILTER_GAP), FILTER_GAP + line * (FILTER + FILTER_GAP), FILTER, FILTER)
        one = filters[which]
        picture = 0.5 + 0.5 * one / max(float(np.abs(one).max()), 1e-12)
        ax.imshow(
            picture.transpose(1, 2, 0) if len(picture) == 3 else picture[0], cmap="gray", vmin=0, vmax=1, interpolation="none"
        )
        ax.set_axis_off()
    more = f" of {len(filters)}" if len(order) < len(filters) else ""
    caption = (
        f"{entry.label}: {len(order)}{more} filters of the first layer, of the network with the least validation error. Grey "
        "is no weight, each filter on its own scale; those with the most weight first."
    )
    return finish(sheet, f"core-filters-{entry.name}", caption, f"First filters of {entry.label}")
