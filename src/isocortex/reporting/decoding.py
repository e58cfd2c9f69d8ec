"""Decoding: what the region and the models tell of the stimuli's labels, and which labels the region confuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isocortex.reporting.formatting import count, interval, is_missing, number, p_value
from isocortex.reporting.region import ALL, Region, Row
from isocortex.reporting.tables import Cell, Column, Line, Table, figure, from_json, layer_cell, words

# What a decoder's folds hold out together.
_FOLDS = {
    "stimulus": "single stimuli",
    "grouped": "whole groups",
    "blocked": "blocks of time",
    "random": "nothing (folds at random score too high where neighbouring trials share drift or label)",
}


def decoded_rows(region: Region) -> list[Row]:
    """Chosen rows of all decoders, the region's own before the models', contaminated ones last."""
    rows = [row for row in region.chosen if row.get("family") == "decoding"]
    decoders = list(dict.fromkeys(row["method"] for row in rows))

    def key(row: Row) -> tuple[int, bool, bool, float, str]:
        score = row.get("score")
        worth = float("inf") if score is None or is_missing(score) else -float(score)
        return (decoders.index(row["method"]), bool(row.get("model")), bool(row.get("contaminated")), worth, row["model"])

    return sorted(rows, key=key)


def decoding_tables(region: Region) -> list[Table]:
    """The mean over subjects of every decoder and source, and each subject where there are several."""
    rows = decoded_rows(region)
    together = [row for row in rows if row.get("subject") == ALL]
    single = [row for row in rows if row.get("subject") != ALL]
    made = []
    if together:
        made.append(
            _table(
                region,
                "table-decoding",
                f"Labels decoded from the region and from the models' layers. {_held_out(region, together)}",
                together,
                False,
            )
        )
    if len({row["subject"] for row in single}) > 1:
        made.append(_table(region, "table-decoding-subjects", "Decoding, each subject by itself", single, True))
    return made


def _held_out(region: Region, rows: Sequence[Row]) -> str:
    """What each decoder's folds hold out together, and of what they are made."""
    said = []
    for decoder in dict.fromkeys(row["method"] for row in rows):
        options = region.method_options(decoder)
        unit = "single presentations" if options.get("unit") == "presentation" else "responses averaged by stimulus"
        said.append(f"for {decoder}: {_FOLDS[str(options.get('folds', 'stimulus'))]}, of {unit}")
    return f"Held out together {'; '.join(said)}."


def _table(region: Region, key: str, caption: str, rows: Sequence[Row], subjects: bool) -> Table:
    columns = (
        Column("decoder", numeric=False),
        *([Column("subject", numeric=False)] if subjects else []),
        Column("source", numeric=False, about="the region by itself, or a model on the same stimuli"),
        Column("layer", numeric=False, about="chosen on the training stimuli of each fold; in brackets its share of the votes"),
        Column("label", numeric=False, about="column of the stimulus table"),
        Column("classifier", numeric=False),
        Column("balanced accuracy", about="mean over classes of the share found, on stimuli that no fit has seen"),
        Column(f"{region.confidence} interval", about="over held-out stimuli, groups or blocks, conditional on the fit"),
        Column("null", about="mean of the null, and its 95\u202f% quantile"),
        Column("p", about="one-sided, by permutation"),
        Column("q", about="false discovery rate over the region and its models"),
        Column("classes"),
        Column("n", about="stimuli, or single presentations where a decoder is of these; of several subjects the fewest"),
    )
    lines = tuple(Line(_cells(region, row, subjects), "aside" if row.get("contaminated") else "") for row in rows)
    return Table(key, caption, columns, lines)


def _cells(region: Region, row: Row, subjects: bool) -> tuple[Cell, ...]:
    options, low = region.method_options(row["method"]), row.get("ci_low")
    source = region.model_label(row["model"]) if row.get("model") else region.label
    extreme = f"{number(row.get('null_mean'))}, {number(row.get('null_extreme95'))}"
    known = not is_missing(row.get("null_mean"))
    return (
        words(row["method"]),
        *([words(row["subject"])] if subjects else []),
        Cell(source, source, "trained on data of this study: shown, not tested" if row.get("contaminated") else ""),
        layer_cell(row),
        words(row.get("target")),
        words(options.get("classifier")),
        figure(row.get("score")),
        Cell(interval(low, row.get("ci_high")), None if is_missing(low) else low),
        Cell(extreme, row["null_mean"]) if known else words("–"),
        figure(row.get("p"), p_value),
        figure(row.get("q_region"), p_value),
        figure(len(classes_of(region, row).get(row["method"], [])) or None, count),
        figure(row.get("n_stimuli"), count),
    )


def classes_of(region: Region, row: Row) -> Mapping[str, Sequence[str]]:
    """Names of the classes by decoder, as the row's cell has them."""
    cell = region.cells.get(f"{row['model']}/decoding" if row.get("model") else "decoding")
    return from_json(cell.attrs.get("classes"), {}) if cell is not None else {}
