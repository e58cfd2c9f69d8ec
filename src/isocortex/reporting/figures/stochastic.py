"""Shape distances of models with and without the noise of trials, beside the region's distance to itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from isocortex.reporting.drawing import ACCENT, CEILING, INK, MUTED, NULL, PAPER, RULE, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.figures.beside import beside
from isocortex.reporting.formatting import count, is_missing, number, shorten
from isocortex.reporting.region import ALL, Region, ordered
from isocortex.reporting.shapes import Spread, best_cell, cells_of, chosen_layer, of_subject, spread_of, subjects_of
from isocortex.reporting.verdicts import ranked

if TYPE_CHECKING:
    import xarray

    from isocortex.inference.verdict import Verdict

WIDTH, ROW, TOP, BOTTOM, VALUE, CHARACTER, LONGEST = 390, 30, 46, 46, 80, 7.0, 17
PARTS = {"deterministic": "means of trials only", "stochastic": "with the noise of trials"}
KINDS = {"gaussian": "means and covariances of Gaussians", "energy": "energy distance between trials"}


@dataclass(frozen=True)
class Model:
    """A model's distance at its chosen layer, by part, and every subject's; `rank` by part, 1 for the closest."""

    label: str
    layer: str
    ranked: bool
    distance: Mapping[str, float]
    subjects: Mapping[str, Mapping[str, float]]
    rank: Mapping[str, int]


def stochastic_figure(region: Region, method: str, verdict: Verdict) -> Drawing | None:
    """Two panels of dots with one row per model: without and with noise, each on its own axis."""
    models = distances(region, method, verdict)
    if not models:
        return None
    _, cell = best_cell(region, method, verdict, "distance")
    own, shuffled = _own(cell, "self_distance"), _own(cell, "shuffled")
    labels = [shorten(model.label, LONGEST) for model in models]
    left = 18 + CHARACTER * max(map(len, labels))
    panels = [
        _panel(f"stochastic-{method}-{part}", part, models, left, (own, shuffled) if part == "stochastic" else None)
        for part in PARTS
    ]
    about = "; ".join(
        f"{model.label} {number(model.distance['deterministic'])} and {number(model.distance['stochastic'])}"
        for model in models
    )
    caption = _caption(region.method_options(method), cell, own, shuffled)
    return beside(panels, f"stochastic-{method}", caption, f"Shape distance without and with noise: {about}")


def distances(region: Region, method: str, verdict: Verdict) -> list[Model]:
    """Models in the order of the ranking, with both distances at the layer that was chosen."""
    found = []
    cells = cells_of(region, method, "distance")
    for row in ordered(region.rows(method), ranked(verdict)):
        cell = cells.get(row["model"])
        layer = None if cell is None else chosen_layer(cell, row)
        if cell is None or layer is None:
            continue
        values = _at(cell, layer, ALL)
        if np.isfinite(list(values.values())).any():
            subjects = {name: _at(cell, layer, name) for name in subjects_of(cell) if name != ALL}
            name = str(cell["layer"].values[layer])
            found.append((region.model_label(row["model"]), name, row["model"] in ranked(verdict), values, subjects))
    ranks = {part: _ranks([values[part] for *_, values, _ in found]) for part in PARTS}
    return [
        Model(label, layer, known, values, subjects, {part: ranks[part][place] for part in PARTS})
        for place, (label, layer, known, values, subjects) in enumerate(found)
    ]


def _at(cell: xarray.Dataset, layer: int, subject: str) -> dict[str, float]:
    parts = [str(part) for part in cell["part"].values]
    values = of_subject(cell[["distance"]].isel({"layer": layer}), "distance", subject)
    return {part: float(values[parts.index(part)]) if part in parts else np.nan for part in PARTS}


def _ranks(values: Sequence[float]) -> list[int]:
    order = np.argsort(np.where(np.isfinite(values), values, np.inf), kind="stable")
    ranks = np.empty(len(values), dtype=int)
    ranks[order] = np.arange(1, len(values) + 1)
    return ranks.tolist()


def _own(cell: xarray.Dataset | None, name: str) -> Spread:
    return spread_of(np.zeros(0) if cell is None or name not in cell else of_subject(cell, name))


def _caption(options: Mapping[str, Any], cell: xarray.Dataset | None, own: Spread, shuffled: Spread) -> str:
    attrs: Mapping[Any, Any] = {} if cell is None else cell.attrs
    sizes = [
        f"{count(attrs[key])} {said}"
        for key, said in (("conditions", "conditions"), ("trials", "trials of each"), ("dims", "dimensions"))
        if key in attrs
    ]
    size = f" ({', '.join(sizes)})" if sizes else ""
    kind = KINDS.get(str(attrs.get("kind", "")), "distributions of trials")
    band = f"the region's distance to itself is {own.said()} over {own.n} splits of its trials" if own.n else ""
    band = band or "the region's distance to itself is not known: its trials could not be split"
    return (
        f"Shape distance of each model's chosen layer: lower is closer. Left: means only. Right: {kind}"
        f"{size}.{_given(options, attrs)} The axes differ in scale; in brackets the ranks. Yellow: {band}. "
        "A hollow dot in the band cannot be told from the region itself."
        + (f" Grey bar: the best model with the region's trials shuffled per unit, {shuffled.said()}." if shuffled.n else "")
        + " Small dots: subjects."
    )


def _given(options: Mapping[str, Any], attrs: Mapping[Any, Any]) -> str:
    """Which noise models were given, for most have none of their own."""
    noise = str(options.get("noise", "isotropic"))
    if noise == "none":
        return " Models have no noise."
    ratio = attrs.get("noise_ratio")
    how = "" if is_missing(ratio) else f": its variance is {number(ratio, 2)} of the signal's"
    return f" A model without noise is given {noise} noise, as much as the region has{how}."


# --- a panel -----------------------------------------------------------------------------------------------------------


def _panel(key: str, part: str, models: Sequence[Model], left: float, band: tuple[Spread, Spread] | None) -> Drawing:
    sheet = canvas(WIDTH, TOP + ROW * len(models) + BOTTOM)
    ax = axes(sheet, left, TOP, WIDTH - left - VALUE, ROW * len(models))
    own, shuffled = band or (spread_of(np.zeros(0)), spread_of(np.zeros(0)))
    if own.n:
        tip = f"the region's distance to itself\n{own.said()}"
        ax.axvspan(own.low, own.high, color=CEILING, alpha=0.35, linewidth=0, zorder=0, gid=sheet.tip(tip))
        ax.axvline(own.median, color=CEILING, linewidth=1.4, zorder=0)
    if shuffled.n:
        tip = f"the region's trials shuffled per unit\n{shuffled.said()}"
        style = {"color": NULL, "linewidth": 5, "solid_capstyle": "butt", "clip_on": False, "zorder": 1, "gid": sheet.tip(tip)}
        low, high = shuffled.low, shuffled.high
        ax.plot([low, high], [-0.3, -0.3], **style)  # over the row of the best model
    for y, model in enumerate(models):
        _row(sheet, ax, y, (part, model), own)
    ax.set_ylim(len(models) - 0.5, -0.5)
    low, high = ax.get_xlim()
    ax.set_xlim(min(0.0, low), high + 0.06 * (high - min(0.0, low)))
    ax.set_yticks(range(len(models)), [shorten(model.label, LONGEST) for model in models], fontsize=12)
    ax.tick_params(axis="y", left=False, labelcolor=INK)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("shape distance, lower is closer", fontsize=11.5)
    height = TOP + ROW * len(models) + BOTTOM
    sheet.figure.text(4 / WIDTH, 1 - 14 / height, PARTS[part], color=INK, fontsize=12.5, va="center")
    about = "; ".join(f"{model.label} {number(model.distance[part])}" for model in models)
    return finish(sheet, key, "", f"Shape distance, {PARTS[part]}: {about}")


def _row(sheet: Canvas, ax: Axes, y: int, given: tuple[str, Model], own: Spread) -> None:
    part, model = given
    value = model.distance[part]
    ax.axhline(y, color=RULE, linewidth=1, zorder=0)
    for subject, values in model.subjects.items():
        if np.isfinite(values[part]):
            tip = sheet.tip(f"subject {subject}\n{model.label}, {model.layer}\n{number(values[part])}")
            ax.plot([values[part]], [y + 0.22], "o", color=NULL, markersize=4.5, zorder=2, gid=tip)
    if not np.isfinite(value):
        return
    colour = ACCENT if model.ranked else MUTED
    hollow = not model.ranked or (own.n > 0 and value <= own.high)
    style = {"markersize": 9, "markeredgewidth": 1.6, "markeredgecolor": colour, "zorder": 3}
    tip = f"{model.label}, {model.layer}\n{PARTS[part]}: {number(value)}\nrank {model.rank[part]}"
    tip += "\nwithin the region's distance to itself" if own.n and value <= own.high else ""
    ax.plot([value], [y], "o", markerfacecolor=PAPER if hollow else colour, gid=sheet.tip(tip), **style)
    text = {"va": "center", "ha": "left", "color": INK, "fontsize": 11.5, "clip_on": False}
    ax.text(1.03, y, f"{number(value)} ({model.rank[part]})", transform=ax.get_yaxis_transform(), **text)
