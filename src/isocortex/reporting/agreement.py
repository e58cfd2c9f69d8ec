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
    said.append(
        "Noise reads as disagreement: two methods that would rank noise-free scores alike have a τ below 1 where models lie "
        "close together."
    )
    taken = few(region)
    if taken and taken[-1]["value"] > 0:
        said.append(_predicting(taken))
    return said


def _predicting(taken: Sequence[Row]) -> str:
    names, share = listing([method_label(row["method_a"]) for row in taken]), percent(taken[-1]["value"])
    verb = "tells" if len(taken) == 1 else "tell"
    ranks = f"{names} {verb} {share} of how all methods rank the layers of held-out models, where those taken count in full"
    if taken[-1]["value"] >= HALF:
        return f"{ranks}: the rest say little that is new here. They were chosen on the same models, which flatters them."
    return f"No few methods stand for the others: {ranks}."


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
        Column("spread", about="2.5 to 97.5\u202f% of τ over draws of stimuli: how far the order moves with them; no interval"),
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
        Column(
            "R² of all", about="ranks of all methods at held-out models with their layers, by those taken so far, which count 1"
        ),
    )
    lines = tuple(Line((words(method_label(row["method_a"])), figure(row["value"]))) for row in rows)
    return Table("table-few", "Methods from which the others can be told, one added at a time", columns, lines)
