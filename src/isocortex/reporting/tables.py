"""Tables of a page: every cell has the text that is read and the value that is sorted by."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isocortex.reporting.formatting import count, interval, is_missing, number, p_value, percent, span
from isocortex.reporting.region import ALL, Region, Row, ordered
from isocortex.reporting.verdicts import leaders, ranked

if TYPE_CHECKING:
    from isocortex.inference.verdict import Verdict


@dataclass(frozen=True)
class Cell:
    """What is read, the number or text behind it (None: missing, sorted last), a marked note, and a tip without a mark."""

    text: str
    value: float | int | str | None = None
    note: str = ""
    tip: str = ""


@dataclass(frozen=True)
class Column:
    """A heading, whether its cells are numbers, and what it means."""

    label: str
    numeric: bool = True
    about: str = ""


@dataclass(frozen=True)
class Line:
    """One row; `kind` is a style: leading, aside or empty."""

    cells: tuple[Cell, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A sortable table; `key` is its id."""

    key: str
    caption: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]


def words(text: Any) -> Cell:
    """A cell of text."""
    text = "" if is_missing(text) else str(text)
    return Cell(text, text)


def figure(value: Any, show: Callable[[Any], str] = number) -> Cell:
    """A cell of one number."""
    return Cell(show(value), None if is_missing(value) else float(value))


def _range(row: Row, low: str, high: str, show: Callable[[Any, Any], str]) -> Cell:
    first = row.get(low)
    return Cell(show(first, row.get(high)), None if is_missing(first) else first)


def score_columns(region: Region) -> tuple[Column, ...]:
    """Headings of `score_cells`."""
    return (
        Column("score", about="on stimuli that no fit has seen, in raw units"),
        Column(f"{region.confidence} interval", about="over stimuli, and subjects where there are six or more"),
        Column("calibrated", about="0 is chance, 1 is identity"),
        Column("normalized", about="share of what can be explained; never clipped"),
        Column("ceiling", about="lower to upper, at the score's own stimuli, repeats and neuroids"),
        Column("null", about="mean of the null, and its 95\u202f% quantile"),
        Column("p", about="one-sided, by permutation"),
    )


def _normalized(row: Row) -> Cell:
    """Marked where there is something to explain: a value that is missing, or above 1."""
    value, note = row.get("normalized"), row.get("note") or ""
    if value is None or is_missing(value):
        return Cell(percent(value), None, note)
    return Cell(percent(value), value, note if value > 1 else "", note)


def score_cells(row: Row) -> tuple[Cell, ...]:
    """Score, interval, calibrated, normalized, ceiling, null and p."""
    null = Cell(
        f"{number(row.get('null_mean'))}, {number(row.get('null_extreme95'))}",
        None if is_missing(row.get("null_mean")) else row["null_mean"],
    )
    return (
        figure(row.get("score")),
        _range(row, "ci_low", "ci_high", interval),
        figure(row.get("calibrated")),
        _normalized(row),
        _range(row, "ceiling_low", "ceiling_high", span),
        null if null.value is not None else words("–"),
        figure(row.get("p"), p_value),
    )


def sizes(row: Row) -> Cell:
    """Numbers of stimuli, neuroids, repeats and subjects."""
    text = "\u202f/\u202f".join(count(row.get(key)) for key in ("n_stimuli", "n_neuroids", "n_repeats", "n_subjects"))
    return Cell(text, None if is_missing(row.get("n_stimuli")) else row["n_stimuli"])


_SIZES = Column("n", about="stimuli / neuroids / repeats / subjects")
_N = "n: stimuli / neuroids / repeats / subjects"


def layer_cell(row: Row) -> Cell:
    """The chosen layer, with its share of the votes where they were not all for it."""
    layer, counts = row.get("layer") or "", from_json(row.get("layer_votes"), {})
    votes = (
        {str(name): value for name, value in counts.items() if isinstance(value, (int, float))}
        if isinstance(counts, dict)
        else {}
    )
    total = sum(votes.values())
    if not layer or total <= 0 or layer not in votes:
        return Cell(layer or "–", layer)
    shown = sorted(votes.items(), key=lambda item: (-item[1], item[0]))[:6]
    share = "" if votes[layer] == total else f" ({percent(votes[layer] / total)})"
    return Cell(layer + share, layer, tip="votes: " + ", ".join(f"{name} {value:g}" for name, value in shown))


def ranking_table(region: Region, method: str, verdict: Verdict) -> Table | None:
    """All models with everything that is known of their scores."""
    rows = ordered(region.rows(method), ranked(verdict))
    if not rows:
        return None
    together, order = leaders(verdict), ranked(verdict)
    lines = []
    for row in rows:
        rank = order.index(row["model"]) + 1 if row["model"] in order else None
        place = Cell(str(rank) if rank else "–", rank)
        model = Cell(
            region.model_label(row["model"]),
            region.model_label(row["model"]),
            "trained on data of this study" if row.get("contaminated") else "",
        )
        kind = "leading" if row["model"] in together else ("aside" if rank is None else "")
        lines.append(
            Line((place, model, layer_cell(row), *score_cells(row), figure(row.get("q_region"), p_value), sizes(row)), kind)
        )
    columns = (
        Column("rank"),
        Column("model", numeric=False),
        Column(
            "layer",
            numeric=False,
            about="chosen on other data than the score is taken from; in brackets its share of the votes",
        ),
        *score_columns(region),
        Column("q", about="false discovery rate over this region's models"),
        _SIZES,
    )
    return Table(f"table-ranking-{method}", f"Every model at its chosen layer, mean over subjects. {_N}", columns, tuple(lines))


def differences_table(region: Region, method: str) -> Table | None:
    """All pairs of models."""
    pairs = region.pairs(method)
    if not pairs:
        return None
    lines = tuple(
        Line(
            (
                words(region.model_label(row["model_a"])),
                words(region.model_label(row["model_b"])),
                figure(row.get("difference")),
                _range(row, "ci_low", "ci_high", interval),
                figure(row.get("p"), p_value),
                figure(row.get("q_region"), p_value),
                Cell(f"{count(row.get('n_stimuli'))}\u202f/\u202f{count(row.get('n_subjects'))}", row.get("n_stimuli")),
            )
        )
        for row in pairs
    )
    columns = (
        Column("model", numeric=False),
        Column("minus model", numeric=False),
        Column("difference"),
        Column(f"{region.confidence} interval", about="paired: both models at the same draws of stimuli"),
        Column("p"),
        Column("q", about="false discovery rate over this region's pairs"),
        Column("n", about="stimuli / subjects"),
    )
    return Table(
        f"table-differences-{method}",
        "Pairwise differences between models, paired over stimuli. n: stimuli / subjects",
        columns,
        lines,
    )


def subjects_table(region: Region, method: str, verdict: Verdict) -> Table | None:
    """Each subject by itself."""
    rows = [row for row in region.of_models if row["method"] == method and row.get("subject") != ALL]
    if not rows:
        return None
    lines = [
        Line(
            (words(row["subject"]), words(region.model_label(row["model"])), layer_cell(row), *score_cells(row), sizes(row)),
            "aside" if row["model"] not in ranked(verdict) else "",
        )
        for subject in dict.fromkeys(row["subject"] for row in rows)
        for row in ordered([one for one in rows if one["subject"] == subject], ranked(verdict))
    ]
    columns = (
        Column("subject", numeric=False),
        Column("model", numeric=False),
        Column("layer", numeric=False),
        *score_columns(region),
        _SIZES,
    )
    return Table(f"table-subjects-{method}", f"Each subject by itself. {_N}", columns, tuple(lines))


def from_json(text: Any, default: Any) -> Any:
    """The value behind JSON text, or the default where it is none."""
    if not isinstance(text, str) or not text:
        return default
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return default
