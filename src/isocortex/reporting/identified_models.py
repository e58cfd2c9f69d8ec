"""Would we know the right model? What a region's page says of known models that stood in its place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from isocortex.reporting.formatting import THIN, interval, is_missing, listing, number, percent, plural
from isocortex.reporting.tables import Cell, Column, Line, Table, figure, from_json, words
from isocortex.reporting.vocabulary import method_label

if TYPE_CHECKING:
    import xarray

CAN, SOME, CANNOT, FEW = "can tell", "only some", "cannot tell", "too few worlds to say"
MEASUREMENTS = {"units": "single units", "voxels": "pooled units", "nonlinear": "rectified pools"}
AXES = {"stimuli": "stimuli", "noise": "noise, times the measured", "neuroids": "neuroids"}
NUMBERS = (
    "rate", "rate_low", "rate_high", "n_worlds", "mean_rank", "margin_z", "margin", "margin_sem", "index", "ece",
    "ece_expected", "ece_limit", "rate_itself", "alone_rate",
)  # fmt: skip
SAID = {
    CAN: "names the right one of {kinds} models in {rate}",
    SOME: "names only some of {kinds} models: it is right in {rate}",
    CANNOT: "cannot tell {kinds} models apart: it is right in {rate}",
    FEW: "was asked in too few worlds to say whether it tells {kinds} models apart: it is right in {rate}",
}
MEANING = (
    "“Can tell”: even the interval's lower limit is reached by guessing in at most 2.5 % of cases (binomial), and every kind "
    "is named as itself more often than as any other. “Cannot tell”: guessing reaches the rate more often than that. Below 20 "
    "worlds nothing is said. Chance is one over the number of kinds that can be the truth. This is what these data could "
    "show, not which model is right, and kinds farther apart would be told from each other more easily."
)
LIMITS = (
    "The truth makes all of a region's measured signal and another seed of it is a candidate, so that the rate is an upper "
    "limit for real models. The interval is over worlds: it holds these networks and stimuli fixed."
)


def share_interval(low: Any, high: Any) -> str:
    """`[76, 88]`, in per cent."""
    return interval(_hundred(low), _hundred(high), 0)


def _hundred(share: Any) -> Any:
    return share if is_missing(share) else 100 * float(share)


@dataclass(frozen=True)
class IdentifiedModels:
    """`identification.nc` of a region, and the method that the study answers by."""

    data: xarray.Dataset
    primary: str = ""

    @property
    def refused(self) -> dict[str, str]:
        """Why subjects were left out, by subject."""
        return from_json(self.data.attrs.get("refused"), {})

    @property
    def known(self) -> bool:
        """Whether there are worlds, and a method that could be asked."""
        return "rate" in self.data and self.data.sizes["method"] > 0

    @cached_property
    def methods(self) -> list[str]:
        """Methods that were asked: the primary one, then by how often they are right."""
        if not self.known:
            return []
        rates = {
            str(name): float(rate) for name, rate in zip(self.data["method"].values, self.data["rate"].values, strict=True)
        }
        return sorted(rates, key=lambda name: (name != self.primary, -rates[name], name))

    def of(self, method: str) -> xarray.Dataset:
        """What was found by one method."""
        return self.data.sel({"method": method})

    def value(self, method: str, name: str) -> float:
        """One number of a method."""
        return float(self.of(method)[name])

    def verdict(self, method: str) -> str:
        """`can tell`, `only some`, `cannot tell` or `too few worlds to say`."""
        return str(self.of(method)["verdict"].values)

    @property
    def chance(self) -> float:
        """How often a guess is right among the kinds that can be the truth."""
        return float(self.data["chance"])

    def rate(self, method: str) -> str:
        """`83 % [76, 88]`."""
        low, high = (self.value(method, name) for name in ("rate_low", "rate_high"))
        return f"{percent(self.value(method, 'rate'))} {share_interval(low, high)}"

    def alone(self, method: str) -> str:
        """The same on noise alone; empty for a method that was not asked there."""
        rate, low, high = (self.value(method, name) for name in ("alone_rate", "alone_low", "alone_high"))
        return "" if is_missing(rate) else f"{percent(rate)} {share_interval(low, high)}"

    # --- what is said ---

    def sentence(self) -> str:
        """The verdict in one sentence."""
        if not self.known:
            return f"Whether the right model would be known cannot be said ({_reason(self.refused, self.data.attrs)})."
        first = self.methods[0]
        said = SAID[self.verdict(first)].format(kinds=self.data.sizes["kind"], rate=self.rate(first))
        return (
            f"At this region's noise, {method_label(first)} {said} of worlds (chance {percent(self.chance)}){self._others()}."
        )

    def _others(self) -> str:
        by: dict[str, list[str]] = {CAN: [], SOME: [], CANNOT: [], FEW: []}
        for name in self.methods[1:]:
            by[self.verdict(name)].append(f"{method_label(name)} ({percent(self.value(name, 'rate'))})")
        ends = {
            CAN: "can, too" if self.verdict(self.methods[0]) == CAN else "can",
            SOME: "knows only some of them" if len(by[SOME]) == 1 else "know only some of them",
            CANNOT: "cannot tell them apart on these data",
            FEW: "was asked in too few worlds to say" if len(by[FEW]) == 1 else "were asked in too few worlds to say",
        }
        return "".join(f"; {listing(names)} {ends[verdict]}" for verdict, names in by.items() if names)

    def notes(self) -> list[str]:
        """How it was done, what it does not say, and who was left out."""
        return [
            *(self._about_worlds() if self.known else []),
            *(f"{name} was not asked: {why}." for name, why in self.skipped.items()),
            *(f"Left out: {why}." for why in from_json(self.data.attrs.get("dropped"), [])),
            *(f"{subject} left out: {reason}." for subject, reason in self.refused.items()),
        ]

    @property
    def skipped(self) -> dict[str, str]:
        """Why methods were not asked, by their labels."""
        found = from_json(self.data.attrs.get("skipped"), {})
        return {method_label(name): why.removeprefix("identification: ") for name, why in found.items()}

    def _about_methods(self) -> list[str]:
        """What holds of some methods only."""
        noted = from_json(self.data.attrs.get("method_notes"), {})
        said = [f"{method_label(name)} here: {note}." for name, note in noted.items() if name in self.methods]
        alone = [f"{method_label(name)} {self.alone(name)}" for name in self.methods if self.alone(name)]
        if alone:
            said.append(f"On noise alone, right in: {listing(alone)}; chance is {percent(self.chance)}.")
        for name in self.methods:
            if without := int(self.value(name, "without_score")):
                said.append(
                    f"{method_label(name)} has no score in {plural(without, 'world')}, which do not count: the responses or "
                    "all candidates' layers have too little in them."
                )
            cell = self.of(name)
            empty = np.flatnonzero(cell["sweep_n"].values == 0)
            where = [f"{cell['axis'].values[row]} {float(cell['level'].values[row]):g}" for row in empty]
            if where:
                said.append(
                    f"{method_label(name)} has no score at all at {listing(where)}: the responses have too little in them."
                )
        return said

    def _about_neuroids(self) -> list[str]:
        whole, used = (int(self.data.attrs.get(key, 0)) for key in ("all_neuroids", "n_neuroids"))
        return [f"Of {whole} neuroids {used} were drawn at random."] if whole > used else []

    def _about_worlds(self) -> list[str]:
        attrs, data = self.data.attrs, self.data
        seen = listing([MEASUREMENTS.get(str(name), str(name)) for name in data["measurement"].values])
        said = [
            f"In each of {plural(int(attrs['worlds']), 'world')} a layer of a known network stands in the region's place, seen "
            f"by {int(attrs['n_neuroids'])} neuroids as {seen}, with the region's noise, which neuroids share, "
            f"{plural(int(attrs['n_stimuli']), 'stimulus')} and {number(attrs['n_repeats'], 1)} repeats. Every method names "
            "the kind of network. The network itself is never a candidate: another seed, or another of its kind, is.",
        ]
        single = [name for name, instances in from_json(attrs.get("kinds"), {}).items() if len(instances) == 1]
        if single:
            said.append(f"Candidates that are never the truth, for there is one of their kind: {listing(single)}.")
        if data.sizes.get("subject", 1) > 1:
            names = listing([str(name) for name in data["subject"].values])
            said.append(f"Worlds are shared equally among {names}, each with its own noise.")
        return [*said, *self._about_neuroids(), *self._about_methods(), LIMITS, MEANING]


def _reason(refused: dict[str, str], attrs: dict[Any, Any]) -> str:
    reasons = list(dict.fromkeys(refused.values())) or list(dict.fromkeys(from_json(attrs.get("skipped"), {}).values()))
    return listing(reasons) or "no method could be asked"


def identified_table(found: IdentifiedModels) -> Table | None:
    """Every method: how often it is right, how far ahead the truth is, and whether what it states holds."""
    if not found.known:
        return None
    columns = (
        Column("method", numeric=False),
        Column("right", about=f"share of worlds whose model is named; chance is {percent(found.chance)}"),
        Column(f"95{THIN}% interval", about="Wilson, worlds as samples, in per cent"),
        Column("worlds", about="that have a score; dear methods are asked in fewer"),
        Column("on noise alone", about="the same where there is nothing but noise; dear methods are not asked"),
        Column("mean rank", about="of the truth among the candidates; 1 is first"),
        Column("margin", about="the truth's score less that of the best other, in standard errors over worlds"),
        Column("index", about="(true − mean of others) / (|true| + |mean of others|)"),
        Column("calibration error", about="stated probability of the named model less the share that is right, mean over bins"),
        Column("expected", about="calibration error if stated probabilities held, and its 95 % limit"),
        Column("same network", about="share that would be right were the very network among the candidates"),
        Column("verdict", numeric=False),
    )
    lines = tuple(_line(found, method) for method in found.methods)
    return Table("table-identified-models", "Known models in the region's place", columns, lines)


def _line(found: IdentifiedModels, method: str) -> Line:
    value = {name: found.value(method, name) for name in NUMBERS}
    cells = (
        words(method_label(method)),
        figure(value["rate"], percent),
        _cell(share_interval(value["rate_low"], value["rate_high"]), value["rate_low"]),
        figure(value["n_worlds"], lambda n: f"{n:.0f}"),
        _cell(found.alone(method), value["alone_rate"]),
        figure(value["mean_rank"], lambda rank: number(rank, 1)),
        _cell(number(value["margin_z"], 1), value["margin_z"], f"{number(value['margin'])} ± {number(value['margin_sem'])}"),
        figure(value["index"], lambda index: number(index, 2)),
        figure(value["ece"], lambda error: number(error, 2)),
        _cell(f"{number(value['ece_expected'], 2)} (≤ {number(value['ece_limit'], 2)})", value["ece_expected"]),
        figure(value["rate_itself"], percent),
        words(found.verdict(method)),
    )
    return Line(cells, {CAN: "leading", CANNOT: "aside"}.get(found.verdict(method), ""))


def _cell(text: str, value: float, tip: str = "") -> Cell:
    return Cell(text, None if is_missing(value) else value, tip=tip)


def subject_table(found: IdentifiedModels) -> Table | None:
    """How often each method is right by subject and by measurement model."""
    if not found.known:
        return None
    subjects = [str(name) for name in found.data["subject"].values] if "subject" in found.data.dims else []
    shown = subjects if len(subjects) > 1 else []
    measurements = [str(name) for name in found.data["measurement"].values]
    columns = (
        Column("method", numeric=False),
        *(Column(MEASUREMENTS.get(name, name), about="share of worlds that are right") for name in measurements),
        *(Column(name, about="share of worlds that are right") for name in shown),
    )
    lines = []
    for method in found.methods:
        cell = found.of(method)
        values = [float(value) for value in cell["measured_rate"].values]
        values += [float(value) for value in cell["rate_subject"].values] if shown else []
        lines.append(Line((words(method_label(method)), *(figure(value, percent) for value in values))))
    return Table("table-identified-by", "By measurement model, and subject", columns, tuple(lines))


def sweep_points(found: IdentifiedModels, method: str, axis: str) -> list[tuple[float, float, float, float, float]]:
    """(level, number, rate, low, high) along one axis, by number."""
    cell = found.of(method)
    rows = np.flatnonzero(cell["axis"].values == axis)
    names = ("level", "number", "sweep_rate", "sweep_low", "sweep_high")
    points = [tuple(float(cell[name].values[row]) for name in names) for row in rows]
    return sorted(((p[0], p[1], p[2], p[3], p[4]) for p in points), key=lambda point: point[1])
