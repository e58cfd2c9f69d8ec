"""Readouts of one model in pairs, and what is said of them and of the warp."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isocortex.inference.comparisons import Candidate, compare_pair
from isocortex.inference.fdr import benjamini_hochberg
from isocortex.inference.pooling import Draws
from isocortex.inference.verdict import SIGNIFICANT
from isocortex.reporting.formatting import interval, is_missing, listing, number, p_phrase, p_value
from isocortex.reporting.readouts import Gain, beside, gains, own, place, readout_cells, reference
from isocortex.reporting.region import ALL, Region, Row
from isocortex.reporting.tables import Cell, Column, Line, Table, figure, words
from isocortex.reporting.vocabulary import method_label
from isocortex.study.readouts import TWINS

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Difference:
    """One readout less another of the same model, paired over test stimuli; q over the pairs of the model."""

    model: str
    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    q: float
    n_stimuli: int


def differences(region: Region) -> list[Difference]:
    """Pairs of readouts of each model that is not contaminated, twins left out, from the draws that its cells share."""
    found: list[Difference] = []
    by_model: dict[str, list[Candidate]] = {}
    for model, cell in _scored(region):
        by_model.setdefault(model, []).extend(_candidates(region, model, cell))
    for model, candidates in by_model.items():
        pairs = [
            (a.model, b.model, pair)
            for rank, a in enumerate(candidates)
            for b in candidates[rank + 1 :]
            if a.n_stimuli == b.n_stimuli and (pair := compare_pair(a, b, *_inference(region))) is not None
        ]
        q = benjamini_hochberg([pair["p"] for *_, pair in pairs]) if pairs else []
        for (first, second, pair), value in zip(pairs, q, strict=True):
            difference, low, high, p = (float(pair[key]) for key in ("difference", "ci_low", "ci_high", "p"))
            found.append(Difference(model, first, second, difference, low, high, p, float(value), int(pair["n_stimuli"])))
    return found


def _inference(region: Region) -> tuple[float, str]:
    asked = region.options.get("inference") or {}
    return float(asked.get("confidence", 0.95)), str(asked.get("generalise", "auto"))


def _scored(region: Region) -> Iterator[tuple[str, xarray.Dataset]]:
    """(model, cell with draws) of the encoder that readouts stand beside, then of the readouts."""
    found, primary = list(readout_cells(region)), reference(region)
    for model, cell in found:
        encoder = region.cells.get(f"{model}/encoding")
        if encoder is not None and primary in encoder["method"].values and "draws" in encoder:
            yield model, encoder.sel({"method": [primary]})
        if "draws" in cell:
            yield model, cell


def _candidates(region: Region, model: str, cell: xarray.Dataset) -> list[Candidate]:
    """Methods of a cell in their order, each with its subjects' scores and draws."""
    made = []
    for method in sorted((str(name) for name in cell["method"].values if str(name) not in TWINS), key=place):
        rows = {s: region.row(method, model, s) for s in (str(name) for name in cell["subject"].values)}
        whole = rows.pop(ALL, None)
        known = {s: row for s, row in rows.items() if row is not None and not is_missing(row.get("score"))}
        if whole is None or whole.get("contaminated") or not known:
            continue
        drawn = cell["draws"].sel({"method": method, "subject": list(known)}).transpose("draw", "subject")
        scores = np.array([float(row["score"]) for row in known.values()])
        values = np.asarray(drawn.values, dtype=np.float64)
        made.append(Candidate(method, tuple(known), scores, Draws(values), int(whole["n_stimuli"] or 0)))
    return made


def differences_table(region: Region) -> Table | None:
    """All pairs of readouts of the same model."""
    found = differences(region)
    if not found:
        return None
    columns = (
        Column("model", numeric=False),
        Column("readout", numeric=False),
        Column("minus readout", numeric=False),
        Column("difference"),
        Column(f"{region.confidence} interval", about="paired: both at the same draws of stimuli"),
        Column("p"),
        Column("q", about="false discovery rate over this model's pairs"),
    )
    lines = tuple(
        Line(
            (
                words(region.model_label(one.model)),
                words(method_label(one.first)),
                words(method_label(one.second)),
                figure(one.difference),
                Cell(interval(one.low, one.high), None if is_missing(one.low) else one.low),
                figure(one.p, p_value),
                figure(one.q, p_value),
            )
        )
        for one in found
    )
    return Table(
        "table-readout-differences", "Differences between the readouts of one model, paired over stimuli", columns, lines
    )


def sentences(region: Region) -> list[str]:
    """Whether a model's readouts differ beyond their intervals, and what its warp adds."""
    pairs = differences(region)
    said = [
        _differ(region.model_label(model), rows, [one for one in pairs if one.model == model])
        for model, rows in beside(region).items()
    ]
    return [
        *filter(None, said),
        *(_adds(region, gain) for gain in gains(region) if gain.tested and not is_missing(gain.median)),
    ]


def _differ(label: str, rows: Sequence[Row], found: Sequence[Difference]) -> str:
    """Which readout of a model is highest, and which others can be told from it; what its encoder scores."""
    mine = [row for row in rows if own(row) and not row.get("contaminated") and not is_missing(row.get("score"))]
    if len(mine) < 2:
        return ""
    best = max(mine, key=lambda row: row["score"])
    others = [row["method"] for row in mine if row is not best]
    apart = {name for name in others if (pair := _pair(best["method"], name, found)) is not None and pair.q < SIGNIFICANT}
    lower = listing([method_label(name) for name in others if name in apart])
    tied = listing([method_label(name) for name in others if name not in apart])
    parts = [
        f"{label}: {method_label(best['method'])} is highest, {number(best['score'])}",
        f"lower beyond the error of the difference: {lower}" if lower else "",
        f"not to be told from it: {tied}" if tied else "",
    ]
    encoder = next((row for row in rows if row.get("family") == "encoding" and not is_missing(row.get("score"))), None)
    return "; ".join(filter(None, parts)) + (f". {_against(encoder, best, found)}" if encoder else ".")


def _pair(first: str, second: str, found: Sequence[Difference]) -> Difference | None:
    return next((one for one in found if {one.first, one.second} == {first, second}), None)


def _against(encoder: Row, best: Row, found: Sequence[Difference]) -> str:
    """The encoder beside the best readout, with their difference where they were scored on the same stimuli."""
    said, pair = (
        f"{method_label(encoder['method'])}: {number(encoder['score'])}",
        _pair(encoder["method"], best["method"], found),
    )
    if pair is None:
        return f"{said}, on other stimuli, so that the two are not compared."
    # The encoder stands before the readouts in every pair.
    bounds = interval(pair.low, pair.high)
    return f"{said}, a difference of {number(pair.difference)} {bounds} ({p_phrase('q', pair.q)})."


def _adds(region: Region, gain: Gain) -> str:
    """What the warp adds, and whether the localiser's images matter to it."""
    clear = gain.p < SIGNIFICANT
    low, high = (gain.low, gain.high) if not clear or gain.median > 0 else (-gain.high, -gain.low)
    verb = ("adds" if gain.median > 0 else "takes") if clear else "adds nothing that can be told from zero:"
    value = number(abs(gain.median) if clear else gain.median)
    said = (
        f"{region.model_label(gain.model)}: the warp {verb} {value} in r, median over neuroids ({region.confidence} interval "
        f"{interval(low, high)}, {p_phrase('p', gain.p)})"
    )
    if is_missing(gain.p_guide):
        return f"{said}."
    worse = "does worse" if gain.p_guide < SIGNIFICANT else "does not do reliably worse"
    tail = f"({p_phrase('p', gain.p_guide)}, {gain.n_guide} orders)"
    return f"{said}; with the localiser's images shuffled at the test, the same network {worse} {tail}."
