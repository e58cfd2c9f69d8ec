"""The region's RDM beside its best model's, in ranks, so that scale does not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from isocortex.reporting.drawing import INK, MUTED, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.formatting import shorten
from isocortex.reporting.region import Region
from isocortex.reporting.verdicts import ranked
from isocortex.reporting.vocabulary import method_label

if TYPE_CHECKING:
    import xarray

    from isocortex.inference.verdict import Verdict

SIDE, TOP, LEFT, GAP, WIDTH, LARGEST = 382, 34, 96, 36, 944, 240
_COLUMNS = ("stimulus_id", "digest", "near", "path", "row", "caption")


def ranks(pairs: np.ndarray) -> np.ndarray:
    """Condensed dissimilarities (n pairs,) as a square of their ranks in [0, 1]; missing pairs and the diagonal are NaN."""
    pairs = np.asarray(pairs, float)
    known = np.isfinite(pairs)
    scaled = np.full(pairs.shape, np.nan)
    if known.any():
        scaled[known] = (pandas.Series(pairs[known]).rank().to_numpy() - 1) / max(1, known.sum() - 1)
    n = round((1 + np.sqrt(1 + 8 * len(pairs))) / 2)
    square = np.full((n, n), np.nan)
    rows, columns = np.triu_indices(n, 1)
    square[rows, columns] = square[columns, rows] = scaled
    return square


def blocks(square: np.ndarray, largest: int = LARGEST) -> np.ndarray:
    """A square matrix averaged down to at most `largest` rows, so that a page stays small."""
    n = len(square)
    if n <= largest:
        return square
    owner = np.minimum(np.arange(n) * largest // n, largest - 1)
    member = np.eye(largest)[owner]
    known = np.isfinite(square).astype(float)
    total, weight = member.T @ np.nan_to_num(square) @ member, member.T @ known @ member
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)


def by_category(stimuli: pandas.DataFrame | None, ids: list[str]) -> tuple[np.ndarray, list[tuple[str, int, int]], str]:
    """An order of the stimuli that puts equal labels together, the labels' ranges, and the label column used ('' if none)."""
    same = np.arange(len(ids))
    if stimuli is None or "stimulus_id" not in stimuli:
        return same, [], ""
    table = stimuli.drop_duplicates("stimulus_id").set_index("stimulus_id")
    if not set(ids) <= set(table.index):
        return same, [], ""
    table = table.loc[ids]
    for column in [name for name in table.columns if name not in _COLUMNS]:
        labels = table[column].astype(str).to_numpy()
        names = list(dict.fromkeys(labels.tolist()))
        if 2 <= len(names) <= min(20, len(ids) // 3):
            order = np.argsort([names.index(label) for label in labels], kind="stable")
            counts = [int((labels == name).sum()) for name in names]
            ends = np.cumsum(counts).tolist()
            return order, [(name, end - size, end) for name, size, end in zip(names, counts, ends, strict=True)], str(column)
    return same, [], ""


def rdm_figure(region: Region, method: str, verdict: Verdict) -> Drawing | None:
    """Two heat maps on one colour scale."""
    cells = {model: cell for model, cell in region.datasets(method) if _drawn(cell, "brain_rdm") and _drawn(cell, "model_rdm")}
    model = next((name for name in [*ranked(verdict), *cells] if name in cells), None)
    if model is None:
        return None
    cell = cells[model]
    n = round((1 + np.sqrt(1 + 8 * cell.sizes["pair"])) / 2)
    order, groups, column = by_category(region.stimuli.get(str(cell.attrs.get("set", ""))), _ids(cell, n))
    sheet = canvas(WIDTH, TOP + SIDE + 44)
    brain, other = (blocks(ranks(cell[name].values)[np.ix_(order, order)]) for name in ("brain_rdm", "model_rdm"))
    image = _heat(axes(sheet, LEFT, TOP, SIDE, SIDE), brain, region.label, groups)
    _heat(axes(sheet, LEFT + SIDE + GAP, TOP, SIDE, SIDE), other, region.model_label(model), [])
    _scale(sheet, image)
    sorting = f"sorted by {column}" if column else "in the order of the stimulus set"
    caption = (
        f"{method_label(method)}: dissimilarity of pairs of {n} stimuli, as ranks (dark: alike, bright: unlike), {sorting}. "
        f"Left: the region, mean over subjects{' of this stimulus set' if len(region.stimuli) > 1 else ''}. "
        "Right: the chosen layer of the best model." + (f" Averaged in blocks to {LARGEST} × {LARGEST}." if n > LARGEST else "")
    )
    return finish(sheet, f"rdm-{method}", caption, f"RDM of {region.label} beside {region.model_label(model)}")


def _drawn(cell: xarray.Dataset, name: str) -> bool:
    return name in cell and bool(np.isfinite(cell[name].values).any())


def _ids(cell: xarray.Dataset, n: int) -> list[str]:
    if "stimulus_id" in cell.coords or "stimulus_id" in cell:
        return [str(name) for name in cell["stimulus_id"].values]
    return [str(place) for place in range(n)]


def _heat(ax: Axes, square: np.ndarray, title: str, groups: list[tuple[str, int, int]]) -> AxesImage:
    n = groups[-1][2] if groups else len(square)
    image = ax.imshow(square, cmap="cividis", vmin=0, vmax=1, interpolation="none", extent=(0, n, n, 0))
    ax.set_title(shorten(title, 44), color=INK)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xticks([])
    ax.set_yticks([(low + high) / 2 for _, low, high in groups], [shorten(name, 13) for name, _, _ in groups], fontsize=10.5)
    ax.tick_params(left=False)
    return image


def _scale(sheet: Canvas, image: AxesImage) -> None:
    bar = sheet.figure.colorbar(image, cax=axes(sheet, LEFT, TOP + SIDE + 14, 150, 8), orientation="horizontal", ticks=[0, 1])
    bar.ax.set_xticklabels(["alike", "unlike"], color=MUTED, fontsize=10.5)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
