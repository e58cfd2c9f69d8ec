"""Tables of shapes on a region's page: its distance to itself, and who is near whom in the space of shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from isocortex.reporting.formatting import interval, is_missing, p_value, percent, span
from isocortex.reporting.region import Region
from isocortex.reporting.shapes import best_cell, noise_tests, of_subject, spread_of, subjects_of
from isocortex.reporting.tables import Cell, Column, Line, Table, figure, words
from isocortex.reporting.vocabulary import method_label

if TYPE_CHECKING:
    import xarray

    from isocortex.inference.verdict import Verdict


def noise_table(region: Region, method: str, verdict: Verdict) -> Table | None:
    """The region's distance to itself, and the best model's to it with trials shuffled, for every subject."""
    _, cell = best_cell(region, method, verdict, "self_distance")
    if cell is None:
        return None
    columns = (
        Column("subject", numeric=False),
        Column("self-distance", about="between two halves of the region's own trials, median over splits"),
        Column("95\u202f% of splits"),
        Column("trials shuffled", about="the best model's distance to the region with the trials of each unit shuffled"),
        Column("95\u202f% of shuffles"),
        Column(
            "p", about="that the region as it is is farther from the model: units share noise, and the model has none of it"
        ),
    )
    lines = tuple(Line(tuple(_noise_cells(cell, subject))) for subject in subjects_of(cell))
    return Table(f"table-noise-{method}", "The region's distance to itself: what no model can be told from", columns, lines)


def _noise_cells(cell: xarray.Dataset, subject: str) -> Iterator[Cell]:
    yield words(subject)
    for name in ("self_distance", "shuffled"):
        found = spread_of(of_subject(cell, name, subject) if name in cell else np.zeros(0))
        yield figure(found.median)
        yield Cell(interval(found.low, found.high), None if is_missing(found.low) else found.low)
    yield figure(noise_tests(cell).get(subject) if "noise_p" in cell else None, p_value)


def space(region: Region) -> xarray.Dataset | None:
    """The region's space of shapes, if there is one with a place for anything."""
    cell = region.cells.get("shapes")
    known = cell is not None and "coordinates" in cell and bool(np.isfinite(cell["coordinates"].values).any())
    return cell if known else None


def kinds(cell: xarray.Dataset, kind: str) -> np.ndarray:
    """Places of the systems that are subjects, or layers."""
    return np.flatnonzero(cell["kind"].values.astype(str) == kind)


def space_table(region: Region) -> Table | None:
    """For every metric: how far apart subjects are, and the layer that is nearest to them."""
    cell = space(region)
    if cell is None:
        return None
    columns = (
        Column("metric", numeric=False),
        Column("nearest layer", numeric=False, about="of all layers of all models, by the mean distance to the subjects"),
        Column("its distance", about="mean over subjects"),
        Column("between subjects", about="mean distance of two subjects"),
        Column("dispersion", about="Fréchet variance of the subjects"),
        Column("self-distance", about="of a subject's halves, least to most"),
        Column("shown", about="share of squared distances that the two axes of the map show"),
    )
    names = [str(name) for name in cell["metric"].values]
    lines = tuple(Line(tuple(_space_cells(region, cell.isel({"metric": place}), name))) for place, name in enumerate(names))
    return Table("table-shapes", "The space of shapes: lower is closer", columns, lines)


def _space_cells(region: Region, cell: xarray.Dataset, metric: str) -> Iterator[Cell]:
    subjects, layers, distance = kinds(cell, "subject"), kinds(cell, "layer"), cell["distance"].values
    yield words(method_label(metric))
    away = [_mean(distance[np.ix_(subjects, [layer])]) for layer in layers]
    nearest = int(np.nanargmin(away)) if np.isfinite(away).any() else None
    yield words("–" if nearest is None else system_label(region, cell, int(layers[nearest])))
    yield figure(None if nearest is None else away[nearest])
    between = distance[np.ix_(subjects, subjects)][np.triu_indices(len(subjects), 1)]
    yield figure(_mean(between))
    yield figure(float(cell["dispersion"]) if "dispersion" in cell else None)
    own = cell["self_distance"].values[subjects] if "self_distance" in cell else np.zeros(0)
    own = own[np.isfinite(own)]
    yield Cell(span(own.min(), own.max()) if len(own) else "–", float(own.min()) if len(own) else None)
    yield figure(float(cell["shown"]) if "shown" in cell else None, percent)


def system_label(region: Region, cell: xarray.Dataset, place: int) -> str:
    """What a system of the space is called: its subject, or its model and layer."""
    if str(cell["kind"].values[place]) == "subject":
        return str(cell["subject"].values[place])
    return f"{region.model_label(str(cell['model'].values[place]))}, {cell['layer'].values[place]}"


def _mean(values: np.ndarray | Sequence[float]) -> float:
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else float("nan")
