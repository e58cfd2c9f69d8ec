"""Known models in a region's place: how often methods are right, what changes that, what is taken for what, calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from isocortex.reporting.drawing import ACCENT, INK, MUTED, NULL, PAPER, RULE, SERIES, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.formatting import number, percent, shorten
from isocortex.reporting.identified_models import AXES, CANNOT, FEW, IdentifiedModels, share_interval, sweep_points
from isocortex.reporting.vocabulary import method_label

WIDTH, ROW, TOP, FOOT, RIGHT, CHARACTER, LONGEST = 944, 28, 26, 48, 170, 7.6, 30
PANEL, GAP, LEFT, KEY = 190, 26, 56, 30
CELL, LEAST, SIDE, WRITTEN = 40, 150, 420, 12


def identified_figures(found: IdentifiedModels) -> list[Drawing]:
    """Rates, sweeps, the leading method's confusions and its calibration; none where there are no worlds."""
    if not found.known:
        return []
    drawings = [rates_figure(found), sweeps_figure(found), confusion_figure(found), calibration_figure(found)]
    return [drawing for drawing in drawings if drawing is not None]


# --- rates -------------------------------------------------------------------------------------------------------------


def rates_figure(found: IdentifiedModels) -> Drawing:
    """A dot with its interval for each method, and a line at chance."""
    methods = found.methods
    left = 24 + CHARACTER * max(len(shorten(method_label(name), LONGEST)) for name in methods)
    sheet = canvas(WIDTH, TOP + ROW * len(methods) + FOOT)
    ax = axes(sheet, left, TOP, WIDTH - left - RIGHT, ROW * len(methods))
    ax.axvline(found.chance, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    for y, method in enumerate(methods):
        _rate_row(sheet, ax, found, method, y)
    ax.set_xlim(0, 1)
    ax.set_ylim(len(methods) - 0.5, -0.5)
    ax.set_yticks([])
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100\u202f%"])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("worlds in which the right model is named", fontsize=11.5)
    ax.text(
        found.chance, 1.01, "chance", ha="center", va="bottom", fontsize=10.5, color=MUTED, transform=ax.get_xaxis_transform()
    )
    caption = (
        "How often each method names the model that stands in the region's place, at the region's noise, stimuli, repeats and "
        "neuroids, with 95\u202f% interval over worlds. Hollow: cannot tell, or too few worlds."
    )
    about = "; ".join(f"{method_label(name)} {found.rate(name)}" for name in methods)
    return finish(sheet, "identified-rates", caption, f"Right in: {about}; chance {percent(found.chance)}")


def _rate_row(sheet: Canvas, ax: Axes, found: IdentifiedModels, method: str, y: int) -> None:
    rate, low, high = (found.value(method, name) for name in ("rate", "rate_low", "rate_high"))
    verdict, first = found.verdict(method), method == found.primary
    unsure = verdict in (CANNOT, FEW)
    colour = MUTED if unsure else ACCENT if first else INK
    if np.isfinite(low):
        ax.plot([low, high], [y, y], color=colour, linewidth=2, solid_capstyle="round", zorder=3)
    rank = number(found.value(method, "mean_rank"), 1)
    alone = f"\non noise alone {found.alone(method)}" if found.alone(method) else ""
    tip = f"{method_label(method)}\nright in {found.rate(method)}{alone}\nmean rank {rank}\n{verdict}"
    face = PAPER if unsure else colour
    ax.plot([rate], [y], "o", markersize=9, markerfacecolor=face, markeredgecolor=colour, markeredgewidth=1.6, zorder=4,
            gid=sheet.tip(tip), clip_on=False)  # fmt: skip
    style = {"va": "center", "clip_on": False, "transform": ax.get_yaxis_transform()}
    ax.text(-0.02, y, shorten(method_label(method), LONGEST), ha="right", color=ACCENT if first else INK, **style)
    ax.text(1.03, y, verdict, ha="left", color=colour, **style)


# --- sweeps ------------------------------------------------------------------------------------------------------------


def sweeps_figure(found: IdentifiedModels) -> Drawing | None:
    """How often methods are right, by number of stimuli, noise and neuroids: a panel each, on one scale."""
    panels = [axis for axis in AXES if len(sweep_points(found, found.methods[0], axis)) > 1]
    if not panels:
        return None
    coloured = found.methods[: len(SERIES)]
    width = min((WIDTH - LEFT - GAP * (len(panels) - 1) - 8) / len(panels), 440)
    sheet = canvas(WIDTH, KEY + TOP + PANEL + FOOT)
    _key(sheet, coloured, len(found.methods) > len(coloured))
    for place, axis in enumerate(panels):
        ax = axes(sheet, LEFT + place * (width + GAP), KEY + TOP, width, PANEL)
        _sweep(sheet, ax, found, axis, coloured)
        ax.set_xlabel(AXES[axis], fontsize=11.5)
        if place:
            ax.tick_params(labelleft=False)
        else:
            ax.set_ylabel("right, % of worlds", fontsize=11.5)
    caption = (
        "What would help: the same with fewer or more stimuli, noise (0: none; 1: as measured) and neuroids, one at a time, "
        "with 95\u202f% interval. Dashed: chance."
    )
    about = "; ".join(
        f"{method_label(found.methods[0])} by {axis}: "
        + ", ".join(f"{_at(axis, p)} {percent(p[2])}" for p in sweep_points(found, found.methods[0], axis))
        for axis in panels
    )
    return finish(sheet, "identified-sweeps", caption, about)


def _at(axis: str, point: Sequence[float]) -> str:
    return f"{point[0]:g}" if axis == "noise" else f"{point[1]:g}"


def _key(sheet: Canvas, coloured: Sequence[str], more: bool) -> None:
    width, height = sheet.figure.get_size_inches() * 72
    x = float(LEFT)
    names = [
        *((method_label(name), colour) for name, colour in zip(coloured, SERIES, strict=False)),
        *([("other methods", NULL)] if more else []),
    ]
    for label, colour in names:
        style = {"fontsize": 12, "va": "center"}
        sheet.figure.text(x / width, 1 - 12 / height, "●", color=colour, **style)
        sheet.figure.text((x + 15) / width, 1 - 12 / height, shorten(label, LONGEST), color=INK, **style)
        x += 36 + 6.6 * len(shorten(label, LONGEST))


def _sweep(sheet: Canvas, ax: Axes, found: IdentifiedModels, axis: str, coloured: Sequence[str]) -> None:
    ax.axhline(found.chance, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    labels: list[str] = []
    for method in reversed(found.methods):
        points = sweep_points(found, method, axis)
        labels = [_at(axis, point) for point in points]
        shown = method in coloured
        colour = SERIES[coloured.index(method)] if shown else NULL
        shift = (coloured.index(method) - (len(coloured) - 1) / 2) * 0.08 if shown else 0.0
        x, rates = np.arange(len(points)) + shift, [point[2] for point in points]
        ax.plot(x, rates, color=colour, linewidth=1.8 if shown else 0.9, zorder=3 if shown else 2)
        for at, point in zip(x, points, strict=True) if shown else ():
            if not np.isfinite(point[2]):
                continue  # no world has a score there, as a note says
            if np.isfinite(point[3]):
                ax.plot([at, at], [point[3], point[4]], color=colour, linewidth=1.3, solid_capstyle="butt", zorder=3)
            tip = f"{method_label(method)}\n{AXES[axis]}: {_at(axis, point)}\n{percent(point[2])} {share_interval(*point[3:])}"
            ax.plot([at], [point[2]], "o", color=colour, markersize=5.5, zorder=4, gid=sheet.tip(tip), clip_on=False)
    ax.set_xlim(-0.4, len(labels) - 0.6)
    ax.set_ylim(0, 1.02)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    ax.set_xticks(range(len(labels)), labels)


# --- what is taken for what, and calibration ----------------------------------------------------------------------------


def confusion_figure(found: IdentifiedModels) -> Drawing:
    """Which kinds the leading method takes for which."""
    method = found.methods[0]
    cell = found.of(method)
    table = cell["confusion"].transpose("truth", "kind").values
    truths, kinds = ([shorten(str(name), 18) for name in cell[key].values] for key in ("truth", "kind"))
    size = float(np.clip(CELL, LEAST / len(kinds), SIDE / len(kinds)))
    left = 40 + CHARACTER * max(map(len, truths))
    below = 40 + 0.8 * CHARACTER * max(map(len, kinds))
    sheet = canvas(left + size * len(kinds) + 40, TOP + 10 + size * len(truths) + below)
    ax = axes(sheet, left, TOP + 10, size * len(kinds), size * len(truths))
    ax.imshow(table, cmap="cividis", vmin=0, vmax=1, interpolation="none", aspect="auto")
    if len(kinds) <= WRITTEN:
        for (row, column), share in np.ndenumerate(table):
            if np.isfinite(share) and share > 0:
                style = {"ha": "center", "va": "center", "fontsize": 10, "color": "#ffffff" if share < 0.5 else "#000000"}
                ax.text(column, row, number(100 * share, 0), **style)
    ax.set_xticks(range(len(kinds)), kinds, rotation=45, ha="right", rotation_mode="anchor", fontsize=10.5)
    ax.set_yticks(range(len(truths)), truths, fontsize=10.5)
    ax.tick_params(left=False, bottom=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(method_label(method), color=INK)
    ax.set_ylabel("in the region's place", fontsize=11.5, color=MUTED)
    ax.set_xlabel("named", fontsize=11.5, color=MUTED)
    caption = (
        f"{method_label(method)}: what each kind of model is taken for, in per cent of its worlds. Rows are kinds that can be "
        "the truth; columns are all candidates."
    )
    own = {str(name): float(cell["confusion"].sel(truth=name, kind=name)) for name in cell["truth"].values}
    about = "; ".join(f"{name} {percent(share)}" for name, share in own.items())
    return finish(sheet, "identified-confusion", caption, f"Named as itself: {about}")


def calibration_figure(found: IdentifiedModels) -> Drawing | None:
    """How often the leading method is right, by how sure it says it is."""
    method = found.methods[0]
    cell = found.of(method)
    stated, observed, worlds = (cell[name].values for name in ("stated", "observed", "bin_worlds"))
    some = np.isfinite(stated) & np.isfinite(observed)
    if not some.any():
        return None
    sheet = canvas(360, TOP + 260 + FOOT)
    ax = axes(sheet, LEFT, TOP, 260, 260)
    ax.plot([0, 1], [0, 1], color=RULE, linewidth=1.2, zorder=0)
    ax.plot(stated[some], observed[some], color=ACCENT, linewidth=1.4, zorder=2)
    for x, y, n in zip(stated[some], observed[some], worlds[some], strict=True):
        tip = f"says {percent(x)}\nis right in {percent(y)}\n{n:.0f} worlds"
        ax.plot([x], [y], "o", color=ACCENT, markersize=6.5, zorder=3, gid=sheet.tip(tip), clip_on=False)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_xlabel("probability that is stated", fontsize=11.5)
    ax.set_ylabel("share that is right", fontsize=11.5)
    ax.set_title(method_label(method), color=INK)
    error, expected = found.value(method, "ece"), found.value(method, "ece_expected")
    caption = (
        f"{method_label(method)}: is it as sure as it should be? Ten bins of as many worlds; on the line what is stated holds. "
        f"Calibration error {number(error, 2)}; {number(expected, 2)} would be expected if all held."
    )
    about = "; ".join(f"{percent(x)} stated, {percent(y)} right" for x, y in zip(stated[some], observed[some], strict=True))
    return finish(sheet, "identified-calibration", caption, about)
