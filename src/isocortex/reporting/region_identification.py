"""Whether regions are told from each other across subjects: the sentence, the tables, and what figures need of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isocortex.reporting.formatting import interval, is_missing, number, p_phrase, p_value, percent, plural
from isocortex.reporting.tables import Cell, Column, Line, Table, figure, from_json, words

if TYPE_CHECKING:
    import xarray

STATISTICS = {
    "rsa": "RSA",
    "rsa_rank": "RSA on ranks",
    "topology": "topology-sensitive",
    "geometry": "geometry-sensitive",
    "trsa": "tRSA, whole plane",
}
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class RegionIdentification:
    """`region_identification.nc` and the labels of regions by id."""

    data: xarray.Dataset
    labels: Mapping[str, str]

    @property
    def statistics(self) -> list[str]:
        """Ids of the statistics, the reference first."""
        return [str(name) for name in self.data["statistic"].values]

    @property
    def regions(self) -> list[str]:
        """Labels of the regions, in the study's order."""
        return [self.labels.get(str(name), str(name)) for name in self.data["region"].values]

    @property
    def chance(self) -> float:
        """Accuracy of a guess."""
        return float(self.data.attrs["chance"])

    @property
    def confidence(self) -> str:
        """`95 %`."""
        return percent(self.data.attrs["confidence"])

    def label(self, statistic: str) -> str:
        """What a statistic is called."""
        return STATISTICS.get(statistic, statistic)

    def sentence(self) -> str:
        """What can be said at the most stimuli and the least noise."""
        cell = self.data.isel(size=int(self.data["size"].values.argmax()), noise=int(self.data["noise"].values.argmin()))
        one = cell.sel(statistic=self.data.attrs["reference"])
        reference = str(self.data.attrs["reference"])
        said = (
            f"With {plural(int(cell['size']), 'stimulus')}, {self.label(reference)} gives {percent(float(one['accuracy']))} "
            f"{interval(float(one['low']), float(one['high']), 2)} of the regions of a subject left out to the right region of "
            f"the others; a guess would give {percent(self.chance)}."
        )
        found = [
            f"{self.label(name)} {percent(float(cell['accuracy'].sel(statistic=name)))} "
            f"({p_phrase('p', float(cell['p'].sel(statistic=name)))})"
            for name in self.statistics
            if name != reference
        ]
        return f"{said} Others, with p of their difference: {', '.join(found)}." if found else said

    def notes(self) -> list[str]:
        """How it was done, and who was left out."""
        data = self.data
        said = [
            "One subject is left out, and each of its regions is given to the region whose mean over the other subjects is "
            "nearest (Euclidean distance). Thresholds of transforms are chosen on the other subjects only.",
            f"Intervals ({self.confidence}) and p generalise to other subjects: a jackknife that takes each subject out of "
            "what is tested and out of what the others are compared with. An interval is missing where no subject changes "
            "anything.",
        ]
        if any(float(level) > 0 for level in data["noise"].values):
            said.append(
                f"Noise is Gaussian, on {data.attrs['noise_on']}, in their standard deviations"
                + (", and dissimilarities below 0 are set to 0." if data.attrs["noise_on"] == "RDMs" else ".")
            )
        absent = from_json(data.attrs.get("absent"), [])
        if absent:
            said.append(f"Left out, because a region is missing: {', '.join(map(str, absent))}.")
        return said


def region_identification_table(found: RegionIdentification) -> Table:
    """Every statistic, number of stimuli and level of noise, and its difference from the reference in pairs."""
    data, several = found.data, found.data.sizes["noise"] > 1
    lines = [
        _line(found, statistic, size, noise, several)
        for noise in range(data.sizes["noise"])
        for size in range(data.sizes["size"])
        for statistic in found.statistics
    ]
    reference = found.label(data.attrs["reference"])
    columns = (
        Column("statistic", numeric=False),
        Column("stimuli"),
        *([Column("noise", about=f"standard deviations of {data.attrs['noise_on']}")] if several else []),
        Column("accuracy", about=f"share of regions identified; chance is {percent(found.chance)}"),
        Column(f"{found.confidence} interval", about="over subjects (jackknife), and subsets of the stimuli"),
        Column(f"minus {reference}", about="on the same subsets, noise and subjects"),
        Column(f"{found.confidence} interval", about="paired over subjects and subsets"),
        Column("p", about="two-sided"),
        Column("q", about="false discovery rate over all differences of this table"),
        Column("thresholds", numeric=False, about="chosen most often on the training subjects; in brackets how often"),
    )
    return Table(
        "table-region-identification", "Identification of regions in subjects that were left out", columns, tuple(lines)
    )


def _line(found: RegionIdentification, statistic: str, size: int, noise: int, several: bool) -> Line:
    cell = found.data.sel(statistic=statistic).isel(size=size, noise=noise)
    value = {name: float(cell[name]) for name in ("accuracy", "low", "high", "difference", "p", "q")}
    low, high = float(cell["difference_low"]), float(cell["difference_high"])
    better = not is_missing(value["q"]) and value["q"] < SIGNIFICANT and value["difference"] > 0
    cells = (
        words(found.label(statistic)),
        Cell(str(int(cell["size"])), int(cell["size"])),
        *([figure(float(cell["noise"]), lambda level: f"{level:g}")] if several else []),
        figure(value["accuracy"]),
        Cell(interval(value["low"], value["high"]), None if is_missing(value["low"]) else value["low"]),
        figure(value["difference"]),
        Cell(interval(low, high), None if is_missing(low) else low),
        figure(value["p"], p_value),
        figure(value["q"], p_value),
        _thresholds(cell),
    )
    return Line(cells, "leading" if better else "")


def _thresholds(cell: xarray.Dataset) -> Cell:
    """The pair chosen most often, with its share of the votes; the next ones in the tip."""
    votes = cell["votes"].values
    if not votes.sum():
        return words("–")
    order = np.argsort(-votes, kind="stable")[:5]
    pairs = [f"{number(float(cell['lower'][k]), 2)}–{number(float(cell['upper'][k]), 2)}" for k in order]
    shares = [percent(votes[k] / votes.sum()) for k in order]
    shown: Sequence[str] = [f"{pair} {share}" for pair, share in zip(pairs, shares, strict=True) if not share.startswith("0")]
    return Cell(f"{pairs[0]} ({shares[0]})", pairs[0], tip=", ".join(shown))
