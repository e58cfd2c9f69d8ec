"""Time course: what the region's windows say one after the other, with rates of false discovery over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from isocortex.inference.fdr import q_of_rows
from isocortex.reporting.formatting import THIN, is_missing, listing, number, p_value, plural
from isocortex.reporting.region import ALL, Region, Row
from isocortex.reporting.tables import Cell, Column, Line, Table, figure, layer_cell, score_cells, score_columns, words
from isocortex.reporting.vocabulary import method_label

# The family of rows that say what could not be computed in a window.
NOT_COMPUTED = "window"
SIGNIFICANT = 0.05
_FAMILY = ("region", "family", "method", "subject")


def over_windows(tables: Sequence[Sequence[Row]]) -> list[Row]:
    """Rows of all windows' tables in the order of time, with `q_region` anew.

    A family of tests is what it is on the rest of the page, a region's method and subject over all models, but now in all
    windows: Benjamini–Hochberg over windows × models. A window's own table has q over its models only.
    """
    rows = sorted((row for table in tables for row in table), key=lambda row: (row["time_start"], row["time_end"]))
    values = [float(q) for q in q_of_rows(rows, _FAMILY)]
    return [{**row, "q_region": None if is_missing(q) else q} for row, q in zip(rows, values, strict=True)]


def course_rows(region: Region, method: str) -> list[Row]:
    """Chosen rows of a method in all windows, mean over subjects, models in the order of the study, then time."""
    order = list(region.options.get("models") or {})
    place = {model: number for number, model in enumerate(["", *order])}
    rows = [
        row
        for row in region.course
        if row["method"] == method and row["family"] != NOT_COMPUTED and row["is_chosen"] and row["subject"] == ALL
    ]
    return sorted(rows, key=lambda row: (place.get(row["model"], len(place)), row["model"], row["time_start"], row["time_end"]))


def course_methods(region: Region) -> list[str]:
    """Methods of the time course: the primary one first, in the order of the page, decoders last."""
    found = list(dict.fromkeys(row["method"] for row in region.course if row["family"] != NOT_COMPUTED))
    order = {method: number for number, method in enumerate(region.methods)}
    return sorted(found, key=lambda method: (order.get(method, len(order)), method))


def windows_of(region: Region) -> list[tuple[float, float]]:
    """Windows (start, end) in seconds, in the order of time."""
    return sorted({(float(row["time_start"]), float(row["time_end"])) for row in region.course})


def sentences(region: Region) -> list[str]:
    """How wide windows are and what they share, which are significant, and which have no signal or were not computed."""
    windows = windows_of(region)
    if not windows:
        return []
    said = [_width(windows)]
    for method in course_methods(region):
        said += _significant(region, method)
        said += _without_signal(region, method)
    return [*said, *_not_computed(region)]


def _width(windows: Sequence[tuple[float, float]]) -> str:
    widths = sorted({round(1000 * (end - start), 3) for start, end in windows})
    wide = listing([f"{width:g}" for width in widths])
    overlap = any(second[0] < first[1] - 1e-9 for first, second in pairwise(windows))
    shared = (
        "Neighbouring windows overlap and share responses: their scores go together, and no edge in time is sharper than a "
        "window is wide."
        if overlap
        else "Neighbouring windows share no response."
    )
    return (
        f"{plural(len(windows), 'window')} of {wide}{THIN}ms, each computed as a study cut to it would be; times are after the "
        f"stimulus. {shared if len(windows) > 1 else ''}"
    ).strip()


def _significant(region: Region, method: str) -> list[str]:
    by_source: dict[str, list[Row]] = {}
    for row in course_rows(region, method):
        by_source.setdefault(row["model"], []).append(row)
    said = []
    for model, rows in by_source.items():
        # Where the region itself cannot be told from noise, a small q is no finding about a model.
        told = [row for row in rows if not is_missing(row.get("q_region")) and not silent(row)]
        found = [row for row in told if row["q_region"] < SIGNIFICANT]
        where = listing([window_text(row) for row in found]) + f"{THIN}ms" if found else "no window"
        said.append(f"{source(region, model)}: {where}")
    return [f"{method_label(method)}, q below {SIGNIFICANT:g} over windows and models: {'; '.join(said)}."] if said else []


def _without_signal(region: Region, method: str) -> list[str]:
    rows = [row for row in course_rows(region, method) if silent(row)]
    windows = list(dict.fromkeys(window_text(row) for row in rows))
    return [f"{method_label(method)}: the region has no reliable signal at {listing(windows)}{THIN}ms."] if windows else []


def silent(row: Row) -> bool:
    """Whether the region has no reliable signal in a row's window."""
    return "no reliable signal" in (row.get("note") or "")


def _not_computed(region: Region) -> list[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for row in region.course:
        if row["family"] == NOT_COMPUTED:
            what = method_label(row["method"]) if row["method"] else "window"
            windows = found.setdefault((what, row["note"]), [])
            if window_text(row) not in windows:
                windows.append(window_text(row))
    return [
        f"Not computed at {listing(windows)}{THIN}ms{'' if what == 'window' else f', {what}'}: {note}."
        for (what, note), windows in found.items()
    ]


def window_text(row: Mapping[str, Any]) -> str:
    """A row's window in milliseconds, as `50–100`."""
    start, end = (number(1000 * row[edge], 0) for edge in ("time_start", "time_end"))
    return f"{start}–{end}"


def source(region: Region, model: str) -> str:
    """What a line is of: a model, or the region by itself."""
    return region.model_label(model) if model else region.label


def course_tables(region: Region) -> list[Table]:
    """One table for each method: every window of every model."""
    return [_table(region, method) for method in course_methods(region)]


def _table(region: Region, method: str) -> Table:
    lines = tuple(
        Line(
            (
                Cell(window_text(row), float(row["time_start"])),
                words(source(region, row["model"])),
                layer_cell(row),
                *score_cells(row),
                figure(row.get("q_region"), p_value),
            ),
            "aside" if row.get("contaminated") else "",
        )
        for row in course_rows(region, method)
    )
    columns = (
        Column("window (ms)", about="after the stimulus"),
        Column("source", numeric=False, about="a model, or the region by itself"),
        Column("layer", numeric=False, about="chosen anew in each window, on other data than the score is taken from"),
        *score_columns(region),
        Column("q", about="false discovery rate over all windows and models of this method"),
    )
    return Table(f"table-course-{method}", f"{method_label(method)} in time, mean over subjects", columns, lines)
