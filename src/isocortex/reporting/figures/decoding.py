"""Which labels a region's decoder takes for which."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from isocortex.reporting.drawing import INK, MUTED, Drawing, axes, canvas, finish
from isocortex.reporting.formatting import number, percent, shorten
from isocortex.reporting.region import ALL, Region
from isocortex.reporting.tables import from_json
from isocortex.reporting.vocabulary import method_label

TOP, SIDE, CELL, LEAST, LARGEST = 34, 520, 46, 150, 16  # pixels; the last: classes whose shares are written out
CHARACTER, LONGEST = 7.2, 18


def confusion_figures(region: Region) -> list[Drawing]:
    """A heat map per decoder of the region by itself, all subjects together; none where it found no class."""
    cell = region.cells.get("decoding")
    if cell is None or "confusion" not in cell:
        return []
    names = from_json(cell.attrs.get("classes"), {})
    together = cell["confusion"].sel({"subject": ALL}).transpose("method", "truth", "predicted")
    found = []
    for method, counts in zip((str(name) for name in cell["method"].values), together.values, strict=True):
        classes = [str(name) for name in names.get(method, [])]
        counts = counts[: len(classes), : len(classes)]
        if len(classes) and np.nansum(counts) > 0:
            found.append(_drawing(method, classes, counts, cell.sizes["subject"] > 2))
    return found


def _drawing(method: str, classes: list[str], counts: np.ndarray, several: bool) -> Drawing:
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    labels = [shorten(name, LONGEST) for name in classes]
    side = float(np.clip(CELL * len(classes), LEAST, SIDE))
    left = 40 + CHARACTER * max(map(len, labels))
    sheet = canvas(left + side + 40, TOP + side + left)
    ax = axes(sheet, left, TOP, side, side)
    ax.imshow(shares, cmap="cividis", vmin=0, vmax=1, interpolation="none")
    if len(classes) <= LARGEST:
        _write(ax, shares)
    places = range(len(classes))
    ax.set_xticks(places, labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=10.5)
    ax.set_yticks(places, labels, fontsize=10.5)
    ax.tick_params(left=False, bottom=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_ylabel("true label", fontsize=11.5, color=MUTED)
    ax.set_xlabel("decoded label", fontsize=11.5, color=MUTED)
    ax.set_title(method_label(method), color=INK)
    caption = (
        f"{method_label(method)}: labels decoded from responses that no fit has seen, as shares of "
        f"each true label{', all subjects together' if several else ''}. The mean of the diagonal is "
        f"{'about ' if several else ''}the balanced accuracy."
    )
    found = "; ".join(f"{name} {percent(share)}" for name, share in zip(classes, np.diag(shares), strict=True))
    return finish(sheet, f"confusion-{method}", caption, f"Confusion of labels: {found}")


def _write(ax: Axes, shares: np.ndarray) -> None:
    style = {"ha": "center", "va": "center", "fontsize": 10}
    for (row, column), share in np.ndenumerate(shares):
        if np.isfinite(share):
            # The map is dark below its middle, whatever the page is.
            ax.text(column, row, number(share, 2), color="#ffffff" if share < 0.5 else "#000000", **style)
