"""Searchlights on a region's page: how much of each map is significant, where it peaks, and its clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isocortex.reporting.formatting import count, number, p_value
from isocortex.reporting.region import ALL, Region
from isocortex.reporting.tables import Cell, Column, Line, Table, figure, from_json, words
from isocortex.reporting.vocabulary import COMPARISONS, method_label

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Entry:
    """One model's maps of one method: what is said of each subject's, and the places of all."""

    method: str
    model: str
    label: str
    maps: Sequence[Mapping[str, Any]]
    cell: xarray.Dataset

    def places(self, subject: str) -> xarray.Dataset:
        """The map of a subject, or of all."""
        mine = (self.cell["searchlight"].values.astype(str) == self.method) & (
            self.cell["subject"].values.astype(str) == subject
        )
        return self.cell.isel({"centre": mine})


def entries(region: Region) -> list[Entry]:
    """Models with maps, by method, in the order of the study; the mean map comes before those of subjects."""
    order = list(region.options.get("models") or {})
    found = []
    for name, cell in region.cells.items():
        model, _, stem = name.rpartition("/")
        if stem != "searchlight" or "centre" not in cell.dims:
            continue
        every = from_json(cell.attrs.get("maps"), [])
        for method in dict.fromkeys(one["searchlight"] for one in every):
            maps = sorted((one for one in every if one["searchlight"] == method), key=lambda one: one["subject"] != ALL)
            found.append(Entry(method, model, region.model_label(model), maps, cell))
    return sorted(found, key=lambda one: (one.method, order.index(one.model) if one.model in order else len(order), one.model))


def searchlight_table(region: Region) -> Table | None:
    """Every map in a line."""
    found = entries(region)
    if not found:
        return None
    columns = (
        Column("method", numeric=False),
        Column("model", numeric=False),
        Column("subject", numeric=False),
        Column("places", about="neuroids with enough others around them; in brackets those without a score"),
        Column("neuroids", about="in a neighbourhood, median over places"),
        Column("significant", about="places with a family-wise p below .05"),
        Column("peak", about="the largest score of the map"),
        Column("x, y, z", numeric=False, about="of the peak, in mm"),
        Column("layer", numeric=False, about="of the peak; where a place has its best layer, so has every permutation"),
        Column("p", about="family-wise, of the peak"),
        Column("null", about="95\u202f% quantile of the largest score of a null map"),
        Column("image", numeric=False, about="NIfTI beside the cell: score, 1 − p family-wise, 1 − p of the place by itself"),
    )
    lines = tuple(Line(_cells(entry, one), "aside" if one["contaminated"] else "") for entry in found for one in entry.maps)
    return Table("table-searchlight", f"Searchlights: maps of {region.label}", columns, lines)


def _cells(entry: Entry, one: Mapping[str, Any]) -> tuple[Cell, ...]:
    peak, lost = one.get("peak") or {}, one["n_centres"] - one["n_scored"]
    places = count(one["n_centres"]) + (f" ({count(lost)})" if lost else "")
    known = "the model was trained on data of this study: shown, not tested" if one["contaminated"] else ""
    return (
        words(method_label(entry.method)),
        Cell(entry.label, entry.label, known),
        words(one["subject"]),
        Cell(places, one["n_centres"]),
        figure(one["median_neuroids"], lambda value: number(value, 0)),
        figure(one["n_significant"], count),
        figure(peak.get("score")),
        words(position(peak)),
        words(peak.get("layer", "")),
        figure(peak.get("p_corrected"), p_value),
        figure(one.get("null_extreme95")),
        Cell(one["image"] or "no voxels", one["image"], tip="" if one["image"] else "positions lie on no regular grid"),
    )


def position(peak: Mapping[str, Any]) -> str:
    """`x, y, z` of a peak in mm."""
    return ", ".join(number(value, 1) for value in peak.get("xyz", ())) or "–"


def cluster_table(region: Region) -> Table | None:
    """The heaviest clusters of every map, where clusters were asked for."""
    columns = (
        Column("model", numeric=False),
        Column("subject", numeric=False),
        Column("voxels"),
        Column("weight", about="voxels, or their scores above the threshold of each, added up"),
        Column("p", about="family-wise, by the heaviest cluster of each null map"),
        Column("peak"),
        Column("x, y, z", numeric=False),
        Column("layer", numeric=False),
    )
    lines = [
        Line(
            (
                words(entry.label),
                words(one["subject"]),
                figure(cluster["n_centres"], count),
                figure(cluster["weight"]),
                figure(cluster["p"], p_value),
                figure(cluster["peak"]["score"]),
                words(position(cluster["peak"])),
                words(cluster["peak"]["layer"]),
            )
        )
        for entry in entries(region)
        for one in entry.maps
        for cluster in one["clusters"]
    ]
    if not lines:
        return None
    return Table("table-clusters", "The heaviest clusters of each map, ten at most", columns, tuple(lines))


def score_name(entry: Entry) -> str:
    """What the map's score is."""
    settings = from_json(entry.cell.attrs.get("settings"), {}).get(entry.method, {})
    return COMPARISONS.get(settings.get("compare", ""), "score")
