"""All that a region's page is made from, and the questions the page asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from isocortex.inference.rows import NOT_RANKED
from isocortex.reporting.formatting import THIN, is_missing
from isocortex.reporting.vocabulary import family_of, score_label
from isocortex.study.readouts import TWINS

if TYPE_CHECKING:
    import pandas
    import xarray

Row = dict[str, Any]
ALL = "all"


@dataclass(frozen=True)
class Region:
    """A region's tables, cells, recording and stimuli.

    `options` are the report job's (`study title region label level primary models methods command` and the data set's),
    `cells` are called `model/family`, or `geometry`, `decoding` and `shapes` for the region by itself, `digests` are pairs
    (path, first digits of its SHA-256), `course` the scores in all windows of time (`time_course.over_windows`), `agreement`
    the rows of `agreement.parquet`, `layers_geometry` what descriptors say of the layers of models, by `model/set`,
    `identified` what came of known models in the region's place, `files` the paths of the tables that a reader can take away.
    """

    options: Mapping[str, Any]
    scores: Sequence[Row]
    comparisons: Sequence[Row]
    brain: xarray.DataTree
    cells: Mapping[str, xarray.Dataset]
    stimuli: Mapping[str, pandas.DataFrame] = field(default_factory=dict)
    digests: Sequence[tuple[str, str]] = ()
    course: Sequence[Row] = ()
    identified: xarray.Dataset | None = None
    layers_geometry: Mapping[str, xarray.Dataset] = field(default_factory=dict)
    agreement: Sequence[Row] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.options["region"])

    @property
    def label(self) -> str:
        return str(self.options.get("label") or self.name)

    @property
    def study(self) -> str:
        return str(self.options.get("title") or self.options.get("study", ""))

    @property
    def level(self) -> str:
        return str(self.options.get("level") or self.brain.attrs.get("level", "patterns"))

    @property
    def confidence(self) -> str:
        """The coverage of intervals, as `95 %`."""
        return f"{100 * float((self.options.get('inference') or {}).get('confidence', 0.95)):g}{THIN}%"

    @property
    def primary(self) -> str:
        return str(self.options.get("primary", "ridge"))

    @cached_property
    def chosen(self) -> list[Row]:
        """Rows that carry an inference: those of chosen layers."""
        return [row for row in self.scores if row.get("is_chosen")]

    @cached_property
    def of_models(self) -> list[Row]:
        """Chosen rows without those of cores, whose readout may be called as a readout of models."""
        return [row for row in self.chosen if row.get("family") != "core"]

    @cached_property
    def methods(self) -> list[str]:
        """Methods that compare models, the primary one first, then by family; twins stand beside their method only."""
        found = {
            row["method"]: row.get("family")
            for row in self.scores
            if row.get("family") not in NOT_RANKED and row["method"] not in TWINS
        }
        return sorted(found, key=lambda method: (method != self.primary, family_of(found[method]).order, method))

    @property
    def leading(self) -> str | None:
        """The method that answers: the primary one, or the first measured where that is absent."""
        return self.methods[0] if self.methods else None

    @property
    def subjects(self) -> list[str]:
        return list(self.brain.children)

    def family(self, method: str) -> str | None:
        """The family of a method; a core is of its own, whatever its readout is called."""
        return next((row.get("family") for row in self.scores if row["method"] == method and row.get("family") != "core"), None)

    def method_options(self, method: str) -> Mapping[str, Any]:
        """The study's options of a method; the job has them by stage (`encode`, `compare` …)."""
        groups = [group for group in (self.options.get("methods") or {}).values() if isinstance(group, Mapping)]
        return next((group[method] for group in groups if isinstance(group.get(method), Mapping)), {})

    def is_distance(self, method: str) -> bool:
        """True where the closer of two has the lower score."""
        return any(row["method"] == method and row.get("higher_is_closer") is False for row in self.scores)

    def score_name(self, method: str) -> str:
        return score_label(self.family(method), self.method_options(method), method)

    def model_label(self, model: str) -> str:
        groups = (self.options.get(key) or {} for key in ("models", "joint", "cores"))
        entry = next((group[model] for group in groups if model in group), {})
        return str(entry.get("label") or model) if isinstance(entry, Mapping) else model

    def rows(self, method: str, subject: str = ALL) -> list[Row]:
        """Chosen rows of a method for one subject; `all` falls back on the only subject where no mean was taken."""
        mine = [row for row in self.of_models if row["method"] == method]
        found = [row for row in mine if row.get("subject") == subject]
        if not found and subject == ALL and len({row.get("subject") for row in mine}) == 1:
            return mine
        return found

    def row(self, method: str, model: str | None, subject: str = ALL) -> Row | None:
        return next((row for row in self.rows(method, subject) if row["model"] == model), None)

    def pairs(self, method: str) -> list[Row]:
        return [row for row in self.comparisons if row["method"] == method]

    def pair(self, method: str, first: str, second: str) -> Row | None:
        """The comparison of two models, turned so that the difference is first minus second."""
        for row in self.pairs(method):
            if (row["model_a"], row["model_b"]) == (first, second):
                return row
            if (row["model_a"], row["model_b"]) == (second, first):
                turned = {key: None if is_missing(row.get(key)) else -row[key] for key in ("difference", "ci_low", "ci_high")}
                return {
                    **row,
                    "model_a": first,
                    "model_b": second,
                    "difference": turned["difference"],
                    "ci_low": turned["ci_high"],
                    "ci_high": turned["ci_low"],
                }
        return None

    def datasets(self, method: str) -> Iterator[tuple[str, xarray.Dataset]]:
        """Cells (model, dataset) that hold a method, in the order of their names."""
        for name in sorted(self.cells):
            cell, (model, _, file) = self.cells[name], name.rpartition("/")
            known = [str(value) for value in cell["method"].values] if "method" in cell.dims else []
            if model and file != "core" and method in known:
                yield model, cell.isel({"method": known.index(method)})


def remarks(row: Row) -> list[str]:
    """What a row notes, piece by piece."""
    return [piece.strip() for piece in str(row.get("note") or "").split(";") if piece.strip()]


def any_known(rows: Sequence[Row], column: str) -> bool:
    """True where some row has a value in the column."""
    return any(not is_missing(row.get(column)) for row in rows)


def ordered(rows: Sequence[Row], ranking: Sequence[str]) -> list[Row]:
    """Rows in the order of the ranking, those outside it last: by score, contaminated ones after the rest."""
    place = {model: rank for rank, model in enumerate(ranking)}

    def key(row: Row) -> tuple[int, bool, float, str]:
        score, sign = row.get("score"), 1.0 if row.get("higher_is_closer") is False else -1.0
        worth = float("inf") if score is None or is_missing(score) else sign * float(score)
        return (
            place.get(row["model"], len(place)),
            bool(row.get("contaminated")),
            worth,
            row["model"],
        )

    return sorted(rows, key=key)
