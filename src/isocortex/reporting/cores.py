"""Response-optimised cores: what a network explains that was trained on the region itself, beside those that read models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isocortex.inference.comparisons import CORE, core_method
from isocortex.reporting.formatting import count, interval, is_missing, number, p_phrase, p_value, percent
from isocortex.reporting.region import ALL, Region, Row
from isocortex.reporting.tables import Cell, Column, Line, Table, figure, score_cells, score_columns, sizes, words
from isocortex.reporting.vocabulary import family_of, method_label

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Entry:
    """A core's row (mean over subjects, or of the only one), label and cell."""

    name: str
    label: str
    row: Row
    cell: xarray.Dataset


def core_rows(region: Region, subject: str = ALL) -> list[Row]:
    """Rows of cores, in the order of the study."""
    rows = [row for row in region.chosen if row.get("family") == CORE and row.get("subject") == subject]
    order = list(region.options.get("core_order") or ())
    return sorted(rows, key=lambda row: (order.index(row["model"]) if row["model"] in order else len(order), row["model"]))


def core_entries(region: Region) -> list[Entry]:
    """Cores whose cells are at hand."""
    found = [(row, region.cells.get(f"{row['model']}/core")) for row in core_rows(region)]
    return [
        Entry(row["model"], region.model_label(row["model"]), row, cell)
        for row, cell in found
        if cell is not None and "seed_score" in cell
    ]


def beside_cores(region: Region) -> list[Row]:
    """Rows of the encoder that models are compared by: the primary one, or the first; contaminated ones last."""
    encoders = [method for method in region.methods if region.family(method) == "encoding"]
    reference = region.primary if region.primary in encoders else next(iter(encoders), None)
    rows = [row for row in region.rows(reference) if not is_missing(row.get("score"))] if reference else []
    return sorted(rows, key=lambda row: (bool(row.get("contaminated")), -float(row["score"]), row["model"]))


def sentences(region: Region) -> list[str]:
    """What each core explains beside the best model, what its networks do alone, and who is not compared with it."""
    entries = core_entries(region)
    said = [text for entry in entries for text in _said(region, entry)]
    seen = [row for row in beside_cores(region) if row.get("contaminated")]
    if seen and entries:
        most = max(seen, key=lambda row: row["score"])
        said.append(
            f"{region.model_label(most['model'])} reaches {number(most['score'], 2)}, but was trained on data of this study, "
            "and is not compared with a core, which saw no test stimulus."
        )
    return said


def _said(region: Region, entry: Entry) -> list[str]:
    row, best = entry.row, next((one for one in beside_cores(region) if not one.get("contaminated")), None)
    if is_missing(row.get("score")):
        return [f"{entry.label} has no score: its predictions or the responses are constant."]
    return [f"The core {entry.label} explains {_explained(row)}{_beside(region, entry, best)}.", _networks(entry)]


def _explained(row: Row) -> str:
    known = not is_missing(row.get("normalized"))
    bounds = interval(row.get("ci_low"), row.get("ci_high"))
    share = f"{percent(row['normalized'])} of {family_of(CORE).share}, " if known else ""
    return f"{share}median r {number(row['score'], 2)} {bounds}".strip()


def _beside(region: Region, entry: Entry, best: Row | None) -> str:
    if best is None:
        return ""
    label, method = region.model_label(best["model"]), method_label(best["method"])
    text = f", beside {label}'s {number(best['score'], 2)} ({method})"
    pair = region.pair(core_method(best["method"]), entry.name, best["model"])
    if pair is None or is_missing(pair.get("difference")):
        return f"{text}; that was tested on other stimuli, so the difference is not tested"
    bounds = interval(pair.get("ci_low"), pair.get("ci_high"))
    return f"{text}: difference {number(pair['difference'])} {bounds}, {p_phrase('p', pair.get('p'))}"


def _networks(entry: Entry) -> str:
    """Single networks and the control, as numbers."""
    seeds = entry.cell["seed_score"].sel({"subject": ALL}).values
    control = float(entry.cell["control_score"].sel({"subject": ALL}))
    shuffled = f"trained on shuffled responses one reaches {number(control, 2)}."
    if len(seeds) == 1:
        return f"It is one network; {shuffled}"
    reach = f"{number(float(seeds.min()), 2)} to {number(float(seeds.max()), 2)}"
    return f"One network alone reaches {number(float(seeds.mean()), 2)} on average, {reach}; {shuffled}"


def core_tables(region: Region) -> list[Table]:
    """Every core, mean over subjects, and each subject where there are several."""
    if not core_rows(region):
        return []
    made = [_table(region, "table-cores", "Cores, mean over subjects; not ranked among models.", [ALL])]
    if len(region.subjects) > 1:
        made.append(_table(region, "table-cores-subjects", "Cores, each subject by itself.", region.subjects))
    return made


def _table(region: Region, key: str, caption: str, subjects: Sequence[str]) -> Table:
    single = list(subjects) != [ALL]
    columns = (
        *([Column("subject", numeric=False)] if single else []),
        Column("core", numeric=False, about="trained on the training stimuli of this region only"),
        Column("readout", numeric=False),
        *score_columns(region),
        Column("q", about="false discovery rate over this region's cores of the same readout"),
        Column("n", about="stimuli / neuroids / repeats / subjects"),
    )
    lines = tuple(
        Line(
            (
                *([words(subject)] if single else []),
                words(region.model_label(row["model"])),
                Cell(method_label(row["method"]), method_label(row["method"]), tip=row.get("note") or ""),
                *score_cells(row),
                figure(row.get("q_region"), p_value),
                sizes(row),
            )
        )
        for subject in subjects
        for row in core_rows(region, subject)
    )
    return Table(key, f"{caption} n: stimuli / neuroids / repeats / subjects", columns, lines)


def core_differences(region: Region) -> Table | None:
    """Cores less models by each of their methods, and cores less each other."""
    rows = [row for row in region.comparisons if row["method"] == CORE or row["method"].startswith(f"{CORE}/")]
    if not rows:
        return None
    columns = (
        Column("core", numeric=False),
        Column("minus", numeric=False),
        Column("by", numeric=False, about="the encoder or readout that reads the model"),
        Column("difference"),
        Column(f"{region.confidence} interval", about="paired: both at the same draws of the same held-out stimuli"),
        Column("p"),
        Column("q", about="false discovery rate over this region's cores and models of one method"),
        Column("n", about="stimuli / subjects"),
    )
    lines = tuple(
        Line(
            (
                words(region.model_label(row["model_a"])),
                words(region.model_label(row["model_b"])),
                words(method_label(row["method"].partition("/")[2]) if "/" in row["method"] else "a core"),
                figure(row.get("difference")),
                Cell(interval(row.get("ci_low"), row.get("ci_high")), None if is_missing(row.get("ci_low")) else row["ci_low"]),
                figure(row.get("p"), p_value),
                figure(row.get("q_region"), p_value),
                Cell(f"{count(row.get('n_stimuli'))}\u202f/\u202f{count(row.get('n_subjects'))}", row.get("n_stimuli")),
            )
        )
        for row in rows
    )
    caption = "Differences between cores and models, paired over stimuli. n: stimuli / subjects"
    return Table("table-core-differences", caption, columns, lines)
