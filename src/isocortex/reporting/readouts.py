"""Readouts side by side: which head reads a model's maps best, and what a warp of the receptive field adds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isocortex.reporting.formatting import interval, is_missing, p_value, shorten
from isocortex.reporting.region import ALL, Region, Row
from isocortex.reporting.tables import Cell, Column, Line, Table, figure, layer_cell, score_cells, score_columns, sizes, words
from isocortex.reporting.vocabulary import READOUT_ORDER, method_label
from isocortex.study.readouts import TWINS

if TYPE_CHECKING:
    import xarray

FAMILIES = ("readout", "core")


@dataclass(frozen=True)
class Gain:
    """What the warp adds to a model's readout, mean over subjects; `tested` is False for models that saw the data."""

    model: str
    median: float
    low: float
    high: float
    p: float
    p_guide: float
    n_guide: int
    tested: bool


def beside(region: Region, subject: str = ALL) -> dict[str, list[Row]]:
    """model → rows of its readouts in their order, below that of the encoder it is compared with; the best model first,
    those that saw the data after the rest."""
    found: dict[str, list[Row]] = {}
    if not any(row.get("family") == "readout" for row in region.chosen):
        return {}  # cores by themselves have a section of their own
    for row in region.chosen:
        if row.get("family") in FAMILIES and row.get("subject") == subject:
            found.setdefault(row["model"], []).append(row)
    primary = reference(region)
    for model, rows in found.items():
        encoder = region.row(primary, model, subject) if primary else None
        rows.sort(key=lambda row: place(row["method"]))
        found[model] = [encoder, *rows] if encoder else rows
    return dict(sorted(found.items(), key=lambda item: _worth(item[0], item[1])))


def reference(region: Region) -> str | None:
    """The encoder that readouts stand beside: the primary method, or the first encoder where that is none."""
    encoders = [method for method in region.methods if region.family(method) == "encoding"]
    return region.primary if region.primary in encoders else next(iter(encoders), None)


def place(method: str) -> tuple[int, str]:
    """Where a method stands below the others."""
    return (READOUT_ORDER.index(method) if method in READOUT_ORDER else len(READOUT_ORDER), method)


def _worth(model: str, rows: Sequence[Row]) -> tuple[bool, float, str]:
    """Models by their best readout, twins left out; contaminated ones last."""
    scores = [row["score"] for row in rows if own(row) and not is_missing(row.get("score"))]
    return all(bool(row.get("contaminated")) for row in rows), -max(scores, default=float("-inf")), model


def own(row: Row) -> bool:
    """Whether a row is a readout's or a core's, and no twin's."""
    return row.get("family") in FAMILIES and row["method"] not in TWINS


def readout_label(row: Row) -> str:
    """What a row is called below its model."""
    return method_label(row["method"])


def readout_tables(region: Region) -> list[Table]:
    """Every model's readouts: the mean over subjects, and each subject where there are several."""
    rows = beside(region)
    if not rows:
        return []
    tables = [
        _table(region, "table-readouts", "Readouts of every model at the chosen layer, mean over subjects.", [(ALL, rows)])
    ]
    if len(region.subjects) > 1:
        single = [(subject, beside(region, subject)) for subject in region.subjects]
        tables.append(_table(region, "table-readouts-subjects", "Readouts, each subject by itself.", single))
    return tables


def _table(region: Region, key: str, caption: str, parts: Sequence[tuple[str, dict[str, list[Row]]]]) -> Table:
    single = [subject for subject, _ in parts] != [ALL]
    columns = (
        *([Column("subject", numeric=False)] if single else []),
        Column("model", numeric=False),
        Column("readout", numeric=False, about="the encoder is shown for comparison; a core was trained on the region itself"),
        Column("layer", numeric=False, about="chosen on other data than the score is taken from"),
        *score_columns(region),
        Column("n", about="stimuli / neuroids / repeats / subjects"),
    )
    lines = tuple(
        Line(
            (
                *([words(subject)] if single else []),
                Cell(shorten(label), label, "trained on data of this study" if row.get("contaminated") else ""),
                Cell(readout_label(row), readout_label(row), tip=row.get("note") or ""),
                layer_cell(row),
                *score_cells(row),
                sizes(row),
            ),
            "aside" if row.get("contaminated") or row["method"] in TWINS or row.get("family") not in FAMILIES else "",
        )
        for subject, models in parts
        for model, rows in models.items()
        for label in [region.model_label(model)]
        for row in rows
    )
    return Table(key, f"{caption} n: stimuli / neuroids / repeats / subjects", columns, lines)


def readout_cells(region: Region) -> Iterator[tuple[str, xarray.Dataset]]:
    """(model, cell) of every readout and core, in the order of the figure."""
    found: dict[str, list[xarray.Dataset]] = {}
    for name, cell in sorted(region.cells.items()):
        if "method" in cell.dims and ("rf" in cell or cell.attrs.get("family") in FAMILIES):
            model = str(cell.attrs.get("model") or name.rpartition("/")[0])
            found.setdefault(model, []).append(cell)
    order = list(beside(region))
    for model in sorted(found, key=lambda one: (order.index(one) if one in order else len(order), one)):
        for cell in found[model]:
            yield model, cell


def gains(region: Region) -> list[Gain]:
    """What the warp adds, model by model."""
    rows, found = beside(region), []
    for model, cell in readout_cells(region):
        if "warp_median" not in cell:
            continue
        one = cell.sel({"subject": ALL})
        low, high, p, p_guide, n = (float(one[f"warp_{key}"]) for key in ("ci_low", "ci_high", "p", "p_guide", "n_guide"))
        guided = [row for row in rows.get(model, []) if row["method"] in TWINS.values()]
        tested = not any(row.get("contaminated") for row in guided)
        found.append(Gain(model, float(one["warp_median"]), low, high, p, p_guide, int(n), tested))
    return found


def gains_table(region: Region) -> Table | None:
    """The gains of all models."""
    found = gains(region)
    if not found:
        return None
    columns = (
        Column("model", numeric=False),
        Column("gain in r", about="median over neuroids of r with the warp less r without it, each at its own chosen layer"),
        Column(f"{region.confidence} interval", about="paired over test stimuli, both fits fixed"),
        Column("p", about="two-sided, by the variance of paired draws"),
        Column("p, images shuffled", about="one-sided: the localiser sees the test stimuli in another order"),
        Column("orders", about="of the localiser's images"),
    )
    lines = tuple(
        Line(
            (
                Cell(label, label, "" if gain.tested else "trained on data of this study"),
                figure(gain.median),
                Cell(interval(gain.low, gain.high), None if is_missing(gain.low) else gain.low),
                figure(gain.p if gain.tested else None, p_value),
                figure(gain.p_guide if gain.tested else None, p_value),
                figure(gain.n_guide, lambda value: str(int(value))),
            ),
            "" if gain.tested else "aside",
        )
        for gain in found
        for label in [region.model_label(gain.model)]
    )
    return Table("table-warp", "What the warp adds to a readout, mean over subjects", columns, lines)
