"""Whether a region's methods rank its models alike: what is said of it, and its table."""

from __future__ import annotations

from collections.abc import Sequence

from isocortex.reporting.formatting import count, interval, is_missing, listing, number, percent
from isocortex.reporting.region import Region, Row
from isocortex.reporting.tables import Cell, Column, Line, Table, figure, words
from isocortex.reporting.vocabulary import method_label

HALF = 0.5


def pairs(region: Region) -> list[Row]:
    """Rows of two methods, in the order of the page's methods."""
    return [row for row in region.agreement if row["kind"] == "pair" and not is_missing(row["value"])]


def methods(region: Region) -> list[str]:
    """Methods that are compared with others, as the page has them."""
    known = {row[key] for row in pairs(region) for key in ("method_a", "method_b")}
    return [method for method in region.methods if method in known] + sorted(known - set(region.methods))


def few(region: Region) -> list[Row]:
    """The methods that predict the rest, in order."""
    return [row for row in region.agreement if row["kind"] == "few"]


def sentences(region: Region) -> list[str]:
    """How alike methods rank the models, which two do least, and which few predict the rest."""
    rows = sorted(pairs(region), key=lambda row: row["value"])
    if not rows:
        return []
    least, most, middle = rows[0], rows[-1], rows[len(rows) // 2]
    said = [
        f"{count(len(methods(region)))} methods rank {count(most['n_models'])} models: of two methods, Kendall's τ is "
        f"{number(middle['value'], 2)} in the middle, between {_named(least)} and {_named(most)}."
        if len(rows) > 1
        else f"Two methods rank {count(most['n_models'])} models: {_named(most)}."
    ]
    taken = few(region)
    if taken and taken[-1]["value"] > 0:
        said.append(_predicting(taken))
    return said


def _predicting(taken: Sequence[Row]) -> str:
    names, share = listing([method_label(row["method_a"]) for row in taken]), percent(taken[-1]["value"])
    ranks = f"{names} {'predicts' if len(taken) == 1 else 'predict'} {share} of how the other methods rank the layers of models"
    if taken[-1]["value"] >= HALF:
        return f"{ranks} that were held out: the rest say little that is new here."
    return f"No few methods stand for the others: {ranks} that were held out."


def _named(row: Row) -> str:
    return f"{number(row['value'], 2)} ({method_label(row['method_a'])} and {method_label(row['method_b'])})"


def agreement_table(region: Region) -> Table | None:
    """Every two methods."""
    rows = pairs(region)
    if not rows:
        return None
    columns = (
        Column("method", numeric=False),
        Column("and", numeric=False),
        Column("τ of models", about="Kendall's τ-b of the models' scores: 1 is the same order, 0 none in common"),
        Column("95\u202f%", about="over draws of stimuli, models fixed"),
        Column("τ of layers", about="over all layers of all models"),
        Column("models"),
        Column("layers"),
    )
    return Table("table-agreement", "Whether methods rank the models alike", columns, tuple(_line(row) for row in rows))


def _line(row: Row) -> Line:
    return Line((
        words(method_label(row["method_a"])),
        words(method_label(row["method_b"])),
        figure(row["value"]),
        Cell(interval(row["low"], row["high"]), None if is_missing(row["low"]) else row["low"]),
        figure(row["over_layers"]),
        figure(row["n_models"], count),
        figure(row["n_layers"], count),
    ))  # fmt: skip


def few_table(region: Region) -> Table | None:
    """The methods that predict the rest, and how far they get."""
    rows: Sequence[Row] = few(region)
    if not rows:
        return None
    columns = (
        Column("taken", numeric=False),
        Column("R² of the rest", about="held-out models with their layers, ranks of all other methods, with all taken so far"),
    )
    lines = tuple(Line((words(method_label(row["method_a"])), figure(row["value"]))) for row in rows)
    return Table("table-few", "Methods from which the others can be told, one added at a time", columns, lines)
