"""Joint encoders: what several feature spaces explain together, and what of it each of them has for itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isocortex.reporting.formatting import count, interval, is_missing, number, p_value, percent
from isocortex.reporting.region import ALL, Region, Row
from isocortex.reporting.tables import Cell, Column, Line, Table, differences_table, figure, words
from isocortex.reporting.vocabulary import method_label

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Part:
    """A part of the variance: its kind (joint, unique, shared), group, label, value and interval, plain and noise-corrected.

    product, alone, weight : of a group; None for the parts that are of no group.
    """

    kind: str
    group: str
    label: str
    value: float
    low: float
    high: float
    corrected: float
    corrected_low: float
    corrected_high: float
    product: float | None = None
    alone: float | None = None
    weight: float | None = None


@dataclass(frozen=True)
class Entry:
    """A joint encoder's cell as the page shows it."""

    name: str
    label: str
    methods: Sequence[str]
    subjects: Sequence[str]
    cell: xarray.Dataset

    def groups(self, region: Region) -> dict[str, str]:
        """Names of the groups and what they are called: models by their labels, layers by their names."""
        names = [str(name) for name in self.cell["group"].values]
        several = len({str(space).partition("/")[0] for space in self.cell["space"].values}) > 1
        return {name: region.model_label(name) if several else name for name in names}

    def parts(self, region: Region, method: str, subject: str = ALL) -> list[Part]:
        """All spaces together, what only one group explains of it, and what two or more do."""
        cell = self.cell.sel({"method": method, "subject": subject})

        def part(kind: str, group: str, label: str) -> Part:
            found = cell.sel({"group": group}) if group else cell
            values = [float(found[f"{kind}{key}"]) for key in _KEYS]
            own = {name: float(found[key]) for name, key in _OF_GROUPS.items()} if group else {}
            return Part(kind, group, label, *values, **own)

        groups = [part("unique", group, f"only {label}") for group, label in self.groups(region).items()]
        shared = "shared by two or more" if len(groups) > 2 else "shared"
        return [part("joint", "", "all together"), *groups, part("shared", "", shared)]


_KEYS = ("", "_low", "_high", "_corrected", "_corrected_low", "_corrected_high")
_OF_GROUPS = {"product": "product", "alone": "alone", "weight": "group_weight"}


def joint_rows(region: Region) -> list[Row]:
    """Rows of the mean over subjects (or of the only subject), in the order of the study, contaminated ones last."""
    rows = [row for row in region.chosen if row.get("family") == "joint" and row.get("subject") == ALL]
    order = list(region.options.get("joint_order") or ())
    place = {name: number for number, name in enumerate(order)}
    return sorted(rows, key=lambda row: (bool(row.get("contaminated")), place.get(row["model"], len(place)), row["model"]))


def joint_entries(region: Region) -> list[Entry]:
    """The joint encoders whose cells are at hand, in the order of their rows."""
    found = []
    for name in dict.fromkeys(row["model"] for row in joint_rows(region)):
        cell = region.cells.get(f"{name}/joint")
        if cell is not None and "unique" in cell:
            methods, subjects = ([str(value) for value in cell[dim].values] for dim in ("method", "subject"))
            found.append(Entry(name, region.model_label(name), methods, [s for s in subjects if s != ALL], cell))
    return found


def joint_table(region: Region) -> Table | None:
    """Every joint encoder and method, mean over subjects."""
    rows = joint_rows(region)
    if not rows:
        return None
    groups = {entry.name: list(entry.groups(region).values()) for entry in joint_entries(region)}
    columns = (
        Column("joint encoder", numeric=False),
        Column("method", numeric=False),
        Column("spaces", numeric=False, about="models, or layers of one model, whose shares are divided"),
        Column("r", about="median over neuroids, on stimuli that no fit has seen"),
        Column(f"{region.confidence} interval", about="over stimuli, and subjects where there are six or more"),
        Column("normalized", about="share of what can be explained; never clipped"),
        Column("null", about="mean of the null, and its 95\u202f% quantile"),
        Column("p", about="one-sided, by permutation"),
        Column("q", about="false discovery rate over this region's joint encoders"),
        Column("n", about="stimuli / neuroids / subjects"),
    )
    lines = tuple(
        Line(_row_cells(region, row, groups.get(row["model"], [])), "aside" if row.get("contaminated") else "") for row in rows
    )
    caption = "Joint encoders, mean over subjects; not ranked, for they hold what they would be ranked against."
    return Table("table-joint", f"{caption} n: stimuli / neuroids / subjects", columns, lines)


def _row_cells(region: Region, row: Row, groups: Sequence[str]) -> tuple[Cell, ...]:
    label, low, normalized = region.model_label(row["model"]), row.get("ci_low"), row.get("normalized")
    known = not is_missing(row.get("null_mean"))
    null = f"{number(row.get('null_mean'))}, {number(row.get('null_extreme95'))}"
    sizes = "\u202f/\u202f".join(count(row.get(key)) for key in ("n_stimuli", "n_neuroids", "n_subjects"))
    return (
        Cell(label, label, "a member was trained on data of this study: shown, not tested" if row.get("contaminated") else ""),
        words(method_label(row["method"])),
        words(", ".join(groups)),
        figure(row.get("score")),
        Cell(interval(low, row.get("ci_high")), None if is_missing(low) else low),
        Cell(percent(normalized), None if is_missing(normalized) else normalized, tip=row.get("note") or ""),
        Cell(null, row["null_mean"]) if known else words("–"),
        figure(row.get("p"), p_value),
        figure(row.get("q_region"), p_value),
        Cell(sizes, row.get("n_stimuli")),
    )


def joint_differences(region: Region) -> list[tuple[str, Table]]:
    """Pairs of joint encoders, with the name of each method."""
    methods = dict.fromkeys(row["method"] for row in joint_rows(region))
    return [(method_label(method), table) for method in methods if (table := differences_table(region, method))]


def share_tables(region: Region, entry: Entry) -> list[Table]:
    """The division of one joint encoder's variance: the mean over subjects, and each subject where there are several."""
    caption = f"{entry.label}: what is explained, as R² on held-out stimuli, median over neuroids"
    made = [_share_table(region, entry, f"table-joint-{entry.name}", caption, [ALL])]
    if len(entry.subjects) > 1:
        key = f"table-joint-{entry.name}-subjects"
        made.append(_share_table(region, entry, key, f"{entry.label}, each subject by itself", entry.subjects))
    return made


def _share_table(region: Region, entry: Entry, key: str, caption: str, subjects: Sequence[str]) -> Table:
    single = list(subjects) != [ALL]
    several = len(entry.methods) > 1
    columns = (
        *([Column("subject", numeric=False)] if single else []),
        *([Column("method", numeric=False)] if several else []),
        Column("part", numeric=False, about="only: R² of all less that of all but this one; shared: R² less all of these"),
        Column("R²", about="1 − SSE/SST about the mean of the training responses; negative is worse than that mean"),
        Column(f"{region.confidence} interval", about="over stimuli, conditional on the fits"),
        Column("noise-corrected", about="sum over neuroids divided by that of their reliabilities"),
        Column(f"{region.confidence} interval", about="over stimuli, conditional on the fits"),
        Column("product measure", about="share of the joint R², correlations between spaces included; shares sum to it"),
        Column("alone", about="R² of a fit with no other space"),
        Column("weight", about="of the kernel (banded) or of the prediction (stacked), mean over neuroids"),
    )
    lines = [
        Line(
            (
                *([words(subject)] if single else []),
                *([words(method_label(method))] if several else []),
                *_part_cells(part),
            )
        )
        for subject, method, part in _all_parts(region, entry, subjects)
    ]
    return Table(key, caption, columns, tuple(lines))


def _all_parts(region: Region, entry: Entry, subjects: Sequence[str]) -> Iterator[tuple[str, str, Part]]:
    for subject in subjects:
        for method in entry.methods:
            for part in entry.parts(region, method, subject):
                yield subject, method, part


def _part_cells(part: Part) -> tuple[Cell, ...]:
    return (
        words(part.label),
        figure(part.value),
        Cell(interval(part.low, part.high), None if is_missing(part.low) else part.low),
        figure(part.corrected),
        Cell(interval(part.corrected_low, part.corrected_high), None if is_missing(part.corrected_low) else part.corrected_low),
        figure(part.product),
        figure(part.alone),
        figure(part.weight, lambda value: number(value, 2)),
    )
