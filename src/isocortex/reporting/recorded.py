"""What was measured of a region, what was left out and why, and the notes on its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from isocortex.reporting.formatting import count, number, span
from isocortex.reporting.region import ALL, Region, Row
from isocortex.reporting.tables import Cell, Column, Line, Table, figure, from_json, words
from isocortex.reporting.vocabulary import method_label


def recording_table(region: Region) -> Table:
    """What was measured of this region, and what was left out, per subject; absent subjects too."""
    told = {subject: _told(region.brain.children[subject].attrs) for subject in region.subjects}
    more = any(told.values())
    lines = [Line((*_recorded(region, subject), *[words(told[subject] or "–")] * more)) for subject in region.subjects]
    for subject, reason in from_json(region.brain.attrs.get("absent"), {}).items():
        lines.append(Line((words(subject), *[words("–")] * 6, words(f"absent: {reason}"), *[words("–")] * more), "aside"))
    columns = (
        Column("subject", numeric=False),
        Column("stimulus set", numeric=False),
        Column("stimuli"),
        Column("repeats", about="presentations averaged, fewest to most"),
        Column("neuroids kept"),
        Column("median reliability", about="of the averaged response, or of the RDM"),
        Column("dropped"),
        Column("why", numeric=False),
        *[Column("known of it", numeric=False, about="what the recording says of itself")] * more,
    )
    return Table("table-recording", "The recording of this region, and what was left out of it", columns, tuple(lines))


def _recorded(region: Region, subject: str) -> tuple[Cell, ...]:
    node = region.brain.children[subject].to_dataset()
    repeats = node["n_repeats"].values.astype(int) if "n_repeats" in node else np.zeros(0, int)
    known = node["reliability"].values if "reliability" in node else np.atleast_1d(node.attrs.get("reliability", np.nan))
    known = known[np.isfinite(known)]
    dropped = from_json(node.attrs.get("dropped"), {})
    reasons = "; ".join(f"{count(size)} {reason}" for reason, size in dropped.items() if size)
    fewest, most = (int(repeats.min()), int(repeats.max())) if len(repeats) else (None, None)
    return (
        words(subject),
        words(node.attrs.get("set", "")),
        figure(node.sizes.get("stimulus"), count),
        Cell(span(fewest, most, 0).replace(" to ", "–"), fewest),
        figure(node.sizes.get("neuroid"), count),
        figure(np.median(known) if len(known) else None),
        figure(node.attrs.get("n_dropped"), count),
        words(reasons or "nothing dropped"),
    )


OVER_TIME = {"sum": "summed", "mean": "averaged"}


def _told(attrs: Mapping[Any, Any]) -> str:
    """What a recording says of itself: the window of its responses, their unit and space, how it was made, what it lacks."""
    said = []
    if attrs.get("n_bins"):
        start, end = (number(attrs[name]) for name in ("time_start", "time_end"))
        over = f"{OVER_TIME[attrs['over_time']]} over {count(attrs['n_bins'])} bins, " if attrs["n_bins"] > 1 else ""
        said.append(f"responses {over}{start} to {end} s after the onset")
    said += [f"{name} {attrs[name]}" for name in ("unit", "space") if attrs.get(name)]
    if attrs.get("note"):
        said.append(str(attrs["note"]))
    before = [f"{count(size)} {reason}" for reason, size in from_json(attrs.get("dropped_before"), {}).items() if size]
    if before:
        said.append(f"left out when it was read: {', '.join(before)}")
    return "; ".join(said)


def notes(region: Region) -> list[tuple[str, str]]:
    """Notes of the rows, each once, with the methods, models and subjects it is about."""
    found: dict[str, list[Row]] = {}
    for row in region.chosen:
        for text in f"{row.get('note') or ''}; {row.get('dropped_reason') or ''}".split("; "):
            if text.strip():
                found.setdefault(text.strip(), []).append(row)
    return [(text, _about(region, rows)) for text, rows in found.items()]


def _about(region: Region, rows: Sequence[Row]) -> str:
    def some(names: Iterable[str]) -> str:
        names = list(dict.fromkeys(name for name in names if name))
        return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")

    parts = (some(row["method"] for row in rows), some(region.model_label(row["model"]) for row in rows if row.get("model")))
    subjects = some(row["subject"] for row in rows if row.get("subject") != ALL)
    return "; ".join(part for part in (*parts, f"subjects {subjects}" if subjects else "") if part)


def missing(region: Region) -> list[str]:
    """What a reader may look for and not find, and why."""
    families = {row.get("family") for row in region.scores}
    said = []
    if region.level == "rdm":
        said.append(
            "The recording holds RDMs only: encoders, readouts and scores per neuroid need responses, so this page has none."
        )
    elif not families & {"encoding", "readout"}:
        said.append("The study asks for no encoder or readout here, so there are no scores per neuroid.")
    if region.level == "rdm" and region.options.get("cores"):
        said.append("A response-optimised core is trained on responses, so none was trained here.")
    layers = {(row["method"], row["model"], row["layer"]) for row in region.scores if row.get("layer")}
    if layers and len(layers) == len({(method, model) for method, model, _ in layers}):
        said.append("Every model has one layer here, so there are no layer profiles.")
    refused = _refused(region)
    said += [f"{method_label(method)}: not computed: {reason}." for method, reason in refused]
    if "rdm" not in families and not refused:
        said.append("The study compares no RDMs here.")
    if not region.comparisons:
        said.append("No two models could be compared, so no differences are tested.")
    return said


def _refused(region: Region) -> list[tuple[str, str]]:
    """Methods that the region, or a model here, could not be given to, with the reason, each said once."""
    found = (
        (method, reason)
        for name in sorted(region.cells)
        for method, reason in from_json(region.cells[name].attrs.get("refused"), {}).items()
    )
    return list(dict.fromkeys(found))
