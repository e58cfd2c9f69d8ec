"""The similarity of shapes by unbiased moments, with its bound, beside the plug-in similarity and the plug-in's null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from isocortex.reporting.drawing import ACCENT, INK, MUTED, NULL, PAPER, RULE, SECOND, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.figures.beside import beside
from isocortex.reporting.formatting import interval, number, shorten
from isocortex.reporting.region import Region, ordered
from isocortex.reporting.shapes import cells_of, chosen_layer, of_subject
from isocortex.reporting.verdicts import ranked

if TYPE_CHECKING:
    from isocortex.inference.verdict import Verdict

WIDTH, ROW, TOP, BOTTOM, VALUE, CHARACTER, LONGEST = 400, 36, 52, 46, 52, 7.0, 17
SHOWN = (-0.5, 1.5)  # an interval without end is cut here
_Z = 1.96


@dataclass(frozen=True)
class Moments:
    """What is known of a model's similarity at its chosen layer; missing numbers are NaN."""

    label: str
    layer: str
    ranked: bool
    values: Mapping[str, float]

    @property
    def bounds(self) -> tuple[float, float]:
        """95 % of the estimate's noise, and on top all the bias that its polynomial may have."""
        reach = _Z * self.values["sd"] + self.values["bias_bound"]
        return self.values["estimate"] - reach, self.values["estimate"] + reach

    @property
    def has_plug_in(self) -> bool:
        """The plug-in similarity is shown with its null or not at all."""
        return bool(np.isfinite([self.values["plug_in"], self.values["plug_in_null"]]).all())


def moments_figure(region: Region, method: str, verdict: Verdict) -> Drawing | None:
    """One row per model."""
    models = moments_of(region, method, verdict)
    if not models:
        return None
    left = 18 + CHARACTER * max(len(shorten(model.label, LONGEST)) for model in models)
    sheet = canvas(WIDTH, TOP + ROW * len(models) + BOTTOM)
    ax = axes(sheet, left, TOP, WIDTH - left - VALUE, ROW * len(models))
    for y, model in enumerate(models):
        _row(sheet, ax, y, model)
    _decorate(sheet, ax, models)
    about = "; ".join(
        f"{model.label} {number(model.values['estimate'])} {interval(*model.bounds)}"
        + (
            f", plug-in {number(model.values['plug_in'])} over {number(model.values['plug_in_null'])}"
            if model.has_plug_in
            else ""
        )
        for model in models
    )
    key = f"moments-{method}"
    panel = finish(sheet, f"{key}-rows", "", f"Similarity of shapes: {about}")
    mean = ", mean over subjects" if len(region.subjects) > 1 else ""
    caption = (
        f"Similarity of shapes at each model's chosen layer{mean} (1: alike but for rotation, 0: unrelated). Dot: by unbiased "
        "moments, not clipped, with 1.96 standard deviations and the bound of its bias. Diamond: the plug-in similarity; tick: "
        "the plug-in of unrelated data of this size, its null. Only what a diamond has above its tick speaks of likeness."
    )
    return beside([panel], key, caption, f"Similarity of shapes: {about}")


def moments_of(region: Region, method: str, verdict: Verdict) -> list[Moments]:
    """Models in the order of the ranking that have an estimate."""
    cells, found = cells_of(region, method, "moment"), []
    for row in ordered(region.rows(method), ranked(verdict)):
        cell = cells.get(row["model"])
        layer = None if cell is None else chosen_layer(cell, row)
        if cell is None or layer is None:
            continue
        names = [str(name) for name in cell["quantity"].values]
        values = of_subject(cell[["moment"]].isel({"layer": layer}), "moment")
        known = {name: float(values[names.index(name)]) if name in names else np.nan for name in _QUANTITIES}
        if np.isfinite(known["estimate"]):
            layer_name = str(cell["layer"].values[layer])
            found.append(Moments(region.model_label(row["model"]), layer_name, row["model"] in ranked(verdict), known))
    return found


_QUANTITIES = ("estimate", "sd", "bias_bound", "plug_in", "plug_in_null")


def _row(sheet: Canvas, ax: Axes, y: int, model: Moments) -> None:
    ax.axhline(y, color=RULE, linewidth=1, zorder=0)
    colour, value = (ACCENT if model.ranked else MUTED), model.values["estimate"]
    low, high = model.bounds
    if np.isfinite(low):
        ends = np.clip([low, high], *SHOWN)
        ax.plot(ends, [y - 0.16] * 2, color=colour, linewidth=2, solid_capstyle="butt", zorder=2)
    tip = f"{model.label}, {model.layer}\nunbiased moments {number(value)} {interval(low, high)}\n"
    tip += f"standard deviation {number(model.values['sd'])}, bias at most {number(model.values['bias_bound'])}"
    style = {"markeredgecolor": colour, "markeredgewidth": 1.6, "markersize": 8.5, "zorder": 4, "gid": sheet.tip(tip)}
    marker = "<" if value < SHOWN[0] else (">" if value > SHOWN[1] else "o")
    style |= {"markerfacecolor": colour if model.ranked else PAPER, "clip_on": False}
    ax.plot([np.clip(value, *SHOWN)], [y - 0.16], marker, **style)
    style = {"va": "center", "ha": "left", "color": INK, "fontsize": 11.5, "clip_on": False}
    ax.text(1.03, y, number(value), transform=ax.get_yaxis_transform(), **style)
    if model.has_plug_in:
        plug_in, null = model.values["plug_in"], model.values["plug_in_null"]
        tip = sheet.tip(f"{model.label}, {model.layer}\nplug-in {number(plug_in)}\nits null {number(null)}")
        line = {"color": NULL, "linewidth": 1.2, "zorder": 1}
        ax.plot([null, plug_in], [y + 0.2] * 2, **line)
        ax.plot([null] * 2, [y + 0.02, y + 0.38], color=NULL, linewidth=2.2, zorder=3, solid_capstyle="butt")
        ax.plot([plug_in], [y + 0.2], "D", color=SECOND, markersize=6.5, zorder=3, gid=tip)


def _decorate(sheet: Canvas, ax: Axes, models: Sequence[Moments]) -> None:
    ax.set_ylim(len(models) - 0.5, -0.5)
    low, high = ax.get_xlim()
    ax.set_xlim(max(SHOWN[0], min(low, -0.05)), min(SHOWN[1], max(high, 1.05)))
    for place in (0.0, 1.0):
        ax.axvline(place, color=RULE, linewidth=1.2, zorder=0)
    ax.set_yticks(range(len(models)), [shorten(model.label, LONGEST) for model in models], fontsize=12)
    ax.tick_params(axis="y", left=False, labelcolor=INK)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("similarity of shapes", fontsize=11.5)
    height = TOP + ROW * len(models) + BOTTOM
    x = 4.0
    marks = [("●", ACCENT, "unbiased moments")]
    if any(model.has_plug_in for model in models):
        marks += [("◆", SECOND, "plug-in"), ("❙", NULL, "plug-in's null")]
    for mark, colour, said in marks:
        style = {"fontsize": 11.5, "va": "center"}
        sheet.figure.text(x / WIDTH, 1 - 16 / height, mark, color=colour, **style)
        sheet.figure.text((x + 15) / WIDTH, 1 - 16 / height, said, color=INK, **style)
        x += 36 + 6.6 * len(said)
