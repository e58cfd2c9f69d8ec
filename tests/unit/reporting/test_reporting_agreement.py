"""Agreement of methods and the region's geometry on a page: what the numbers are called."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from described_layers import described
from regions import Plan, make_region
from xarray import Dataset

from isocortex.reporting import agreement, geometry
from isocortex.reporting.drawing import plain_style
from isocortex.reporting.figures.agreement import agreement_figure
from isocortex.reporting.figures.geometry import geometry_figure
from isocortex.reporting.region import Region, Row


def pair(a: str, b: str, value: float) -> Row:
    spread = {"low": value - 0.2, "high": value + 0.1, "over_layers": value}
    sizes = {"n_models": 6, "n_layers": 18, "n_draws": 50}
    return {"kind": "pair", "method_a": a, "method_b": b, "value": value, **spread, **sizes}


def agreed() -> Region:
    few: Row = {"kind": "few", "method_a": "rsa", "method_b": "", "value": 0.7, "n_models": 6, "n_layers": 18}
    rows = (pair("rsa", "cka", 0.6), pair("rsa", "ridge", 0.3), pair("cka", "ridge", 0.4), few)
    return replace(make_region(Plan()), agreement=rows)


def test_the_spread_over_draws_is_not_called_an_interval() -> None:
    region = agreed()
    table = agreement.agreement_table(region)
    assert table is not None
    assert "95" not in "".join(column.label for column in table.columns)
    column = next(column for column in table.columns if column.label == "spread")
    assert "how far the order moves" in column.about
    with plain_style():
        drawing = agreement_figure(region)
    assert drawing is not None
    assert "over draws of stimuli" in drawing.svg
    assert "95 %" not in drawing.svg


def test_noise_and_the_choice_of_the_few_are_minded() -> None:
    said = " ".join(agreement.sentences(agreed()))
    assert "Noise reads as disagreement" in said
    assert "chosen on the same models" in said


def test_halves_of_the_repeats_are_no_ceiling_of_geometry() -> None:
    table = geometry.geometry_table(described())
    assert table is not None
    titles = [column.label for column in table.columns]
    assert "ceiling" not in titles
    assert "Noise agrees with itself" in table.columns[titles.index("halves agree")].about


def test_the_mean_spectrum_is_no_subject() -> None:
    values = np.array([[0.6, 0.4, np.nan], [0.5, 0.3, 0.2], [0.55, 0.35, 0.1]])
    cell = Dataset({"spectrum": (("subject", "component"), values)}, coords={"subject": ["S1", "S2", "all"]})
    region = make_region(Plan())
    with plain_style():
        drawing = geometry_figure(replace(region, cells={**region.cells, "geometry": cell}))
    assert drawing is not None
    assert "Eigenvalue spectra of 2 subjects" in drawing.about
    parts = {
        name: part
        for name in ("S1", "S2", "all")
        for part in str(drawing.svg).split("data-tip=")[1:]
        if part.startswith(f'"{name}')
    }
    marks = {name: re.findall(r'class="[^"]*\b(ink|accent)\b|(#1c2126|#0072b2)', part)[0] for name, part in parts.items()}
    assert marks["S1"] == marks["S2"] != marks["all"]
