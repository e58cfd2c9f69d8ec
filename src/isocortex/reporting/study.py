"""All regions of a study together: their answers, and the table of regions by models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from isocortex.reporting.answer import Answer, answer
from isocortex.reporting.drawing import Drawing
from isocortex.reporting.figures.overview import Named, overview_figure
from isocortex.reporting.formatting import is_missing, number, p_phrase, percent, plural
from isocortex.reporting.region import Region, Row
from isocortex.reporting.region_identification import RegionIdentification
from isocortex.reporting.space import Space
from isocortex.reporting.verdicts import leaders

if TYPE_CHECKING:
    from isocortex.inference.verdict import Verdict


@dataclass(frozen=True)
class HeatCell:
    """A cell of the table: three texts, the value it is sorted by, and its shade in per cent."""

    score: str = "–"
    share: str = ""
    q: str = ""
    value: float | None = None
    shade: int = 0
    kind: str = ""
    note: str = ""


@dataclass(frozen=True)
class HeatLine:
    """A region's row."""

    label: str
    href: str
    cells: Sequence[HeatCell]


@dataclass(frozen=True)
class Heat:
    """The table of regions by models."""

    models: Sequence[str]
    lines: Sequence[HeatLine]


@dataclass(frozen=True)
class VerdictLine:
    """What one region says."""

    label: str
    href: str
    kind: str
    headline: str


@dataclass(frozen=True)
class Study:
    """A study's regions by id, the verdict of each (None: nothing was compared), and the address of each page.

    `q_study` is by (region, method, model).
    """

    title: str
    primary: str
    regions: Mapping[str, Region]
    verdicts: Mapping[str, Verdict | None]
    pages: Mapping[str, str]
    q_study: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    digests: Sequence[tuple[str, str]] = ()
    identification: RegionIdentification | None = None
    space: Space | None = None

    def _method(self, name: str) -> str | None:
        return self.regions[name].leading

    @cached_property
    def models(self) -> dict[str, str]:
        """Labels of all models, in the order of their first region."""
        return {
            row["model"]: region.model_label(row["model"])
            for name, region in self.regions.items()
            for row in region.rows(self._method(name) or "")
        }

    @cached_property
    def cells(self) -> dict[tuple[str, str], Row]:
        """The row of each region and model, with the study's q."""
        return {
            (name, row["model"]): {**row, "q_study": self.q_study.get((name, row["method"], row["model"]))}
            for name, region in self.regions.items()
            for row in region.rows(self._method(name) or "")
        }

    @cached_property
    def answers(self) -> dict[str, Answer]:
        """What each region says."""
        return {name: answer(region, self._method(name), self.verdicts.get(name)) for name, region in self.regions.items()}

    @cached_property
    def silent(self) -> set[str]:
        """Regions without reliable signal: their scores mean nothing."""
        return {name for name, said in self.answers.items() if said.kind == "no_signal"}

    @cached_property
    def leading(self) -> dict[str, tuple[str, ...]]:
        """Best model of each region and those tied with it; regions where nothing can be claimed are left out."""
        return {
            name: tuple(leaders(verdict)) for name, verdict in self.verdicts.items() if verdict is not None and verdict.best
        }

    def summary(self) -> str:
        subjects = {
            row["subject"]
            for region in self.regions.values()
            for row in region.scores
            if row.get("subject") not in (None, "", "all")
        }
        return f"{plural(len(self.regions), 'region')}, {plural(len(self.models), 'model')}, {plural(len(subjects), 'subject')}"

    def verdict_lines(self) -> list[VerdictLine]:
        """Each region's sentence."""
        return [
            VerdictLine(self.regions[name].label, self.pages[name], said.kind, said.headline)
            for name, said in self.answers.items()
        ]

    def overview(self) -> Drawing | None:
        """The figure of all regions."""
        labels = {name: region.label for name, region in self.regions.items()}
        return overview_figure(self.cells, Named(labels, self.models), self.leading, self.silent)

    def heat(self) -> Heat:
        """The table of all regions."""
        lines = [
            HeatLine(region.label, self.pages[name], [self._cell(name, model) for model in self.models])
            for name, region in self.regions.items()
        ]
        return Heat(list(self.models.values()), lines if self.models else [])

    def _cell(self, name: str, model: str) -> HeatCell:
        row = self.cells.get((name, model))
        if row is None or is_missing(row.get("score")):
            return HeatCell(note="not measured" if row is None else "no score")
        normalized, q = row.get("normalized"), row.get("q_study")
        aside = bool(row.get("contaminated"))
        if name in self.silent:
            return HeatCell(
                number(row["score"], 2), "no signal", value=row["score"], kind="aside", note="no reliable signal in this region"
            )
        return HeatCell(
            score=number(row["score"], 2),
            share=percent(normalized) if not is_missing(normalized) else "no ceiling",
            q="" if is_missing(q) else p_phrase("q", q),
            value=row["score"],
            shade=shade(row),
            kind="aside" if aside else ("leading" if model in self.leading.get(name, ()) else ""),
            note="trained on data of this study: not ranked" if aside else (row.get("note") or ""),
        )


def shade(row: Mapping[str, Any]) -> int:
    """0 to 60 per cent: a shade on which ink can still be read."""
    value = row.get("normalized") if not is_missing(row.get("normalized")) else row.get("score")
    if value is None or is_missing(value):
        return 0
    return round(60 * min(1.0, max(0.0, float(value))))
