"""Geometry of the region and of the layers of models: what is drawn along depth, all numbers as tables, and what to mind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from isocortex.reporting.formatting import count, interval, is_missing, listing, number, p_value, plural, span
from isocortex.reporting.region import ALL, Region, Row
from isocortex.reporting.tables import Cell, Column, Line, Table, figure, from_json, sizes, words
from isocortex.reporting.vocabulary import METHODS, method_label

N = "n: stimuli / neuroids / repeats / subjects"


@dataclass(frozen=True)
class Series:
    """One descriptor at the layers of a model, in order, on one stimulus set; a layer without a value has no row."""

    label: str
    layers: tuple[str, ...]
    rows: dict[str, Row]


def descriptors(region: Region) -> list[str]:
    """Descriptors that have a value for the region or for a layer, those of the spectrum first, those of labels last."""
    measured = [str(row["method"]) for row in region.chosen if row.get("family") == "geometry"]
    layers = [str(row["method"]) for model in region.layers_geometry for row in _layer_rows(region, model)]
    place = {name: k for k, name in enumerate(METHODS)}
    return sorted(dict.fromkeys([*measured, *layers]), key=lambda name: (place.get(name, len(place)), name))


def region_rows(region: Region, method: str) -> list[Row]:
    """The region's rows of a descriptor, of each subject and of their mean."""
    return [row for row in region.chosen if row.get("family") == "geometry" and row["method"] == method]


def mean_row(region: Region, method: str) -> Row | None:
    """The row over subjects; None where they have no mean."""
    rows = region_rows(region, method)
    return next((row for row in rows if row.get("subject") == ALL and not is_missing(row.get("score"))), None)


def models(region: Region) -> list[str]:
    """Files of layers, `model/set`, with the models in the study's order."""
    order = list(region.options.get("models") or {})
    place = {name: k for k, name in enumerate(order)}
    return sorted(region.layers_geometry, key=lambda name: (place.get(name.split("/")[0], len(place)), name))


def series(region: Region, method: str) -> list[Series]:
    """A descriptor along the depth of every model."""
    found = []
    for name in models(region):
        rows = {str(row["layer"]): row for row in _layer_rows(region, name) if row["method"] == method}
        layers = tuple(str(layer) for layer in region.layers_geometry[name]["layer"].values)
        if rows:
            found.append(Series(series_label(region, name), layers, rows))
    return found


def series_label(region: Region, name: str) -> str:
    """A model's name, with the stimulus set where the region's subjects saw several."""
    model, _, of = name.partition("/")
    sets = {key.partition("/")[2] for key in region.layers_geometry}
    return region.model_label(model) + (f", {of}" if len(sets) > 1 else "")


def _layer_rows(region: Region, name: str) -> list[Row]:
    return list(from_json(region.layers_geometry[name].attrs.get("rows"), []))


def sentences(region: Region) -> list[str]:
    """What must be minded where layers and region are seen side by side, and what layers have no value of."""
    if not region.layers_geometry:
        return []
    said = []
    layers = sorted({row["n_stimuli"] for name in region.layers_geometry for row in _layer_rows(region, name)})
    own = sorted({row["n_stimuli"] for method in descriptors(region) for row in region_rows(region, method)})
    if layers and own and layers != own:
        said.append(
            f"Layers are described on {_numbers(layers)} stimuli, all of the set that the models were given, the region on the "
            f"{_numbers(own)} that its subjects saw: dimensionality grows with the number of stimuli, so mind the difference."
        )
    if any(not is_missing(row.get("score")) for method in descriptors(region) for row in region_rows(region, method)):
        said.append(
            "Responses carry noise, which adds dimensions to a region where it is not cross-validated; layers carry none."
        )
    return said + _refused(region)


def _numbers(values: Sequence[int]) -> str:
    return count(values[0]) if len(values) == 1 else f"{count(values[0])} to {count(values[-1])}"


def _refused(region: Region) -> list[str]:
    """Why layers have no value of a descriptor, each reason once."""
    why: dict[tuple[str, str], list[str]] = {}
    for name in models(region):
        for method, reason in from_json(region.layers_geometry[name].attrs.get("refused"), {}).items():
            why.setdefault((method, reason), []).append(series_label(region, name))
    every = len(region.layers_geometry)
    return [
        f"{method_label(method)}: no value for {'layers' if len(names) == every else f'layers of {listing(names)}'} ({reason})."
        for (method, reason), names in why.items()
    ]


def geometry_table(region: Region) -> Table | None:
    """Descriptors of the region by itself, of each subject and of their mean."""
    lines = [
        Line((words(method_label(method)), words(row["subject"]), *_numbers_of(row), _ceiling(row), sizes(row)))
        for method in descriptors(region)
        for row in region_rows(region, method)
    ]
    if not lines:
        return None
    columns = (
        Column("descriptor", numeric=False),
        Column("subject", numeric=False),
        *_columns(region),
        Column(
            "halves agree",
            about="of two halves of the repeats, smaller over larger value: lower bound to median. Noise agrees with itself: "
            "halves that are alike need not be like the signal",
        ),
        Column("n", about="stimuli / neuroids / repeats / subjects"),
    )
    return Table("table-geometry", f"Descriptors of the region by itself. {N}", columns, tuple(lines))


def layers_table(region: Region) -> Table | None:
    """Descriptors of every layer of every model."""
    lines = [
        Line(
            (
                words(method_label(method)),
                words(of.label),
                words(layer),
                *_numbers_of(of.rows[layer]),
                Cell(
                    f"{count(of.rows[layer].get('n_stimuli'))}\u202f/\u202f{count(of.rows[layer].get('n_neuroids'))}",
                    of.rows[layer].get("n_stimuli"),
                ),
            )
        )
        for method in descriptors(region)
        for of in series(region, method)
        for layer in of.layers
        if layer in of.rows
    ]
    if not lines:
        return None
    columns = (
        Column("descriptor", numeric=False),
        Column("model", numeric=False),
        Column("layer", numeric=False),
        *_columns(region),
        Column("n", about="stimuli / features"),
    )
    several = plural(len(region.layers_geometry), "profile")
    return Table("table-geometry-layers", f"Descriptors of the layers, {several}. n: stimuli / features", columns, tuple(lines))


def _columns(region: Region) -> tuple[Column, ...]:
    return (
        Column("value"),
        Column(f"{region.confidence} interval", about="over stimuli, from subsamples"),
        Column("null", about="mean of the null, and its 95\u202f% quantile towards structure"),
        Column("p", about="one-sided, towards structure"),
    )


def _numbers_of(row: Row) -> tuple[Cell, ...]:
    return (
        figure(row.get("score")),
        _between(row, "ci_low", "ci_high", interval),
        _null(row),
        figure(row.get("p"), p_value),
    )


def _null(row: Row) -> Cell:
    mean = row.get("null_mean")
    if mean is None or is_missing(mean):
        return words("–")
    kind = str(row.get("null_kind") or "").replace("_", " ")
    return Cell(f"{number(mean)}, {number(row.get('null_extreme95'))}", mean, tip=f"{kind}, {count(row.get('n_null'))} draws")


def _ceiling(row: Row) -> Cell:
    return _between(row, "ceiling_low", "ceiling_high", span)


def _between(row: Row, low: str, high: str, show: Callable[[Any, Any], str]) -> Cell:
    first = row.get(low)
    return Cell(show(first, row.get(high)), None if is_missing(first) else first)
