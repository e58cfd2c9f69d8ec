"""How far apart regions of subjects are: the sentences, the tables, and what figures need of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from isocortex.reporting.formatting import count, number, p_value, percent, plural
from isocortex.reporting.tables import Cell, Column, Line, Table, figure, from_json, words

if TYPE_CHECKING:
    import xarray

METRICS = {"shape": "shape of condition means", "stochastic_shape": "shape of trials"}
SHORT = {"shape": "means", "stochastic_shape": "trials"}  # in tables
KINDS = {"angular": "angle in radians", "euclidean": "length"}
DISTRIBUTIONS = {"gaussian": "Gaussians fitted to each condition", "energy": "energy distance"}
# How two systems are related → in a table, and in a sentence.
RELATIONS = {
    "same trials": ("same trials", "within a session (same trials)"),
    "same individual": ("same individual", "across sessions of one individual"),
    "other individuals": ("other individuals", "across individuals"),
}
BELOW_ZERO = (
    "An energy distance is estimated without bias for a given alignment, and the best alignment fits some noise: where noise "
    "is large it falls below 0 (shown as the root of its size, with its sign), so that only its difference from the "
    "split-half distances says something."
)
BELOW = " A distance below 0 is within what the alignment fits of the noise."
SIZES = ("n_conditions", "n_trials", "n_units")
SIGNIFICANT, MOST_PAIRS = 0.05, 500


@dataclass(frozen=True)
class Space:
    """`space.nc` and the labels of regions by id."""

    data: xarray.Dataset
    labels: Mapping[str, str]

    @property
    def metrics(self) -> list[str]:
        """Ids of the distances."""
        return [str(name) for name in self.data["metric"].values]

    @cached_property
    def names(self) -> list[str]:
        """What systems are called, in few letters: the ids of region and subject."""
        return [str(name) for name in self.data["system"].values]

    @cached_property
    def regions(self) -> list[str]:
        """The region's label of each system."""
        return [self.labels.get(str(name), str(name)) for name in self.data["region"].values]

    @property
    def subjects(self) -> list[str]:
        """The subject of each system."""
        return [str(name) for name in self.data["subject"].values]

    @property
    def individuals(self) -> list[str]:
        """The individual of each system; "" where it is not known."""
        return [str(name) for name in self.data["individual"].values]

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Systems by twos."""
        return list(combinations(range(len(self.names)), 2))

    def title(self, metric: str) -> str:
        """`shape of condition means (angle in radians)`."""
        one = self.data.sel(metric=metric)
        said = [KINDS.get(str(one["kind"].values), ""), DISTRIBUTIONS.get(str(one["distribution"].values), "")]
        return f"{METRICS.get(metric, metric)} ({', '.join(text for text in said if text)})"

    def values(self, metric: str, name: str) -> np.ndarray:
        """One of the arrays of a metric."""
        return self.data[name].sel(metric=metric).values

    def of(self, metric: str, name: str, relation: str | None = None) -> np.ndarray:
        """Values of all pairs that could be compared, or of those with one relation."""
        table, known = self.values(metric, name), self.values(metric, "distance")
        related = self.data["relation"].values
        return np.asarray(
            [table[i, j] for i, j in self.pairs if np.isfinite(known[i, j]) and relation in (None, str(related[i, j]))]
        )

    def own(self, metric: str, kind: str) -> float:
        """Median split-half distance over systems."""
        values = self.values(metric, f"self_{kind}")
        return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")

    def sentences(self) -> list[str]:
        """What can be said of each distance."""
        return [self._sentence(metric) for metric in self.metrics]

    def _sentence(self, metric: str) -> str:
        found = [(RELATIONS[name][1], self.of(metric, "distance", name)) for name in RELATIONS]
        apart = ", ".join(f"{number(np.median(values), 2)} {said}" for said, values in found if len(values))
        drawn = self.of(metric, "drawn")
        return (
            f"By the {self.title(metric)}, regions are apart by a median of {apart}; a region is apart from itself by "
            f"{number(self.own(metric, 'blocked'), 2)} between halves of its trials in alternating stretches of time, by "
            f"{number(self.own(metric, 'random'), 2)} between random halves. {count(drawn.sum())} of "
            f"{plural(len(drawn), 'pair')} ({percent(drawn.mean() if len(drawn) else None)}) are farther apart than either "
            f"region is from itself.{BELOW if (self.of(metric, 'distance') < 0).any() else ''}"
        )

    def notes(self) -> list[str]:
        """How it was done."""
        data = self.data.attrs
        gone = from_json(data.get("left_out"), [])
        return [
            f"A system is a region of one subject, with {data['least_units']} units or more. For each pair, conditions with at "
            f"least {data['least_trials']} trials in both (twice as many for Gaussians) are compared on half of the trials, "
            "with as many trials of each condition and as many units (or components) in both, over "
            f"{data['splits']} splits of trials and draws of units. Trials are divided by one number per system, the square "
            "root of the total variance of its condition means, so that neither the number of units nor their rates decide.",
            f"No trial is on both sides of a distance. Halves are made of alternating stretches of time ({data['blocks']} of "
            "each condition at most), or at random: where the first are farther apart than the second, responses drift. A pair "
            "counts as apart where its median distance exceeds 97.5\u202f% of the split-half distances of both systems, of "
            "either kind, at the pair's own numbers.",
            "Regions of one session share the state of the animal from trial to trial, and its noise: “same trials” is no "
            "evidence of likeness; two sessions of one individual, and two individuals, are.",
            f"p are of being this near: with conditions permuted in one system ({data['shuffles']} times; small p: the regions "
            "arrange the conditions alike), and with the trials of each unit shuffled within stretches of each condition in "
            "both (small p: what units share from trial to trial makes them alike). They are not corrected for the number of "
            "pairs, and systems occur in many pairs.",
            *([BELOW_ZERO] if "energy" in self.data["distribution"].values else []),
            *([f"Left out, because it is absent or has too few units: {', '.join(gone)}."] if gone else []),
            *([f"All {len(self.pairs)} pairs are in space.nc."] if len(self.pairs) > MOST_PAIRS else []),
        ]


def space_tables(space: Space) -> list[Table]:
    """Distances by relation, every system, and every pair where they are not too many."""
    tables = [relations_table(space), systems_table(space)]
    return [*tables, pairs_table(space)] if len(space.pairs) <= MOST_PAIRS else tables


def relations_table(space: Space) -> Table:
    """How far apart systems are that share trials, an individual, or nothing, and of one region or of two."""
    lines = [
        line
        for metric in space.metrics
        for name in RELATIONS
        for same in (True, False)
        if (line := _relation_line(space, metric, name, same))
    ]
    columns = (
        Column("shape of", numeric=False, about="condition means, or distributions of trials"),
        Column("pairs", numeric=False, about="of one session, of two sessions of one individual, or of two individuals"),
        Column("regions", numeric=False),
        Column("number"),
        Column("median distance", about="at half the trials"),
        Column("from itself, stretches", about="split-half distance of the two systems, alternating stretches of time, median"),
        Column("from itself, random", about="split-half distance of the two systems, random halves, median"),
        Column("apart", about="share of pairs whose distance exceeds 97.5 % of the split-half distances of both"),
        Column("p < .05, conditions", about="share of pairs that are nearer than with permuted conditions; 5 % by chance"),
        Column("p < .05, trials", about="share of pairs that are nearer than with trials shuffled per unit; 5 % by chance"),
        Column("conditions", about="median"),
        Column("trials", about="of a condition in a half, median"),
        Column("units", about="or components, median"),
    )
    return Table("table-space-relations", "How far apart regions are", columns, tuple(lines))


def _relation_line(space: Space, metric: str, name: str, same: bool) -> Line | None:
    regions, related = space.regions, space.data["relation"].values
    known = space.values(metric, "distance")
    chosen = [
        (i, j)
        for i, j in space.pairs
        if str(related[i, j]) == name and (regions[i] == regions[j]) == same and np.isfinite(known[i, j])
    ]
    if not chosen:
        return None
    rows, columns = np.asarray(chosen).T

    def median(key: str) -> Cell:
        return figure(np.median(space.values(metric, key)[rows, columns]))

    def own(kind: str) -> Cell:
        table = space.values(metric, f"self_{kind}_pair")
        return figure(np.median([*table[rows, columns], *table[columns, rows]]))

    def share(values: np.ndarray) -> Cell:
        values = values[np.isfinite(values)]
        return figure(values.mean() if len(values) else None, percent)

    def small(key: str) -> Cell:
        p = space.values(metric, key)[rows, columns]
        return share(np.where(np.isfinite(p), p < SIGNIFICANT, np.nan))

    cells = (
        words(SHORT.get(metric, metric)),
        words(RELATIONS[name][0]),
        words("one" if same else "two"),
        figure(len(chosen), count),
        median("distance"),
        own("blocked"),
        own("random"),
        share(space.values(metric, "drawn")[rows, columns].astype(float)),
        small("p_labels"),
        small("p_trials"),
        *(
            figure(np.median(space.values(metric, key)[rows, columns]), count)
            for key in ("n_conditions", "n_trials", "n_units")
        ),
    )
    return Line(cells)


def systems_table(space: Space) -> Table:
    """Every system, with its split-half distances."""
    columns = (
        Column("region", numeric=False),
        Column("subject", numeric=False),
        Column("session", numeric=False),
        Column("individual", numeric=False),
        Column("units"),
        *(column for metric in space.metrics for column in _system_columns(metric)),
    )
    lines = tuple(Line(_system_cells(space, place)) for place in range(len(space.names)))
    return Table("table-space-systems", "Every region of every subject, and how far it is from itself", columns, lines)


def _system_columns(metric: str) -> Sequence[Column]:
    title, short = METRICS.get(metric, metric), SHORT.get(metric, metric)
    return (
        Column(f"{short}: itself, stretches", about=f"{title}: split-half distance, alternating stretches, median over pairs"),
        Column(f"{short}: itself, random", about=f"{title}: split-half distance, random halves, median over pairs"),
        Column(f"{short}: others", about=f"{title}: median distance to other systems"),
        Column(f"{short}: apart from", about=f"{title}: systems it is farther from than either is from itself"),
    )


def _system_cells(space: Space, place: int) -> tuple[Cell, ...]:
    data = space.data
    cells = [words(value) for value in (space.regions[place], space.subjects[place])]
    cells += [words(str(data[name].values[place]) or "–") for name in ("session", "individual")]
    cells.append(figure(int(data["n_neuroids"].values[place]), count))
    for metric in space.metrics:
        distance, drawn = space.values(metric, "distance")[place], space.values(metric, "drawn")[place]
        known = np.isfinite(distance)
        cells += [
            figure(float(space.values(metric, "self_blocked")[place])),
            figure(float(space.values(metric, "self_random")[place])),
            figure(np.median(distance[known]) if known.any() else None),
            Cell(f"{drawn.sum()} of {known.sum()}", int(drawn.sum())),
        ]
    return tuple(cells)


def pairs_table(space: Space) -> Table:
    """Every pair of systems."""
    related = space.data["relation"].values
    lines = []
    for metric in space.metrics:
        known = space.values(metric, "distance")
        for i, j in space.pairs:
            if np.isfinite(known[i, j]):
                lines.append(_pair_line(space, metric, (i, j), str(related[i, j])))
    columns = (
        Column("shape of", numeric=False, about="condition means, or distributions of trials"),
        Column("system", numeric=False),
        Column("and system", numeric=False),
        Column("pair", numeric=False),
        Column("distance", about="at half the trials, median over splits"),
        Column("from itself", about="the larger split-half distance of the two, of either kind, median over splits"),
        Column("apart", numeric=False),
        Column("p, conditions", about="of being this near, conditions permuted in one system"),
        Column("p, trials", about="of being this near, trials shuffled per unit within stretches"),
        Column("n", about="conditions / trials of each in a half / units or components"),
        Column("all trials", about="distance of all trials and units, whose numbers differ"),
    )
    return Table("table-space-pairs", "Every pair. n: conditions / trials / units", columns, tuple(lines))


def _pair_line(space: Space, metric: str, pair: tuple[int, int], related: str) -> Line:
    i, j = pair

    def value(name: str) -> Any:
        return space.values(metric, name)[i, j]

    own = max(space.values(metric, f"self_{kind}_pair")[a, b] for kind in ("blocked", "random") for a, b in ((i, j), (j, i)))
    sizes = "\u202f/\u202f".join(count(value(name)) for name in SIZES)
    cells = (
        words(SHORT.get(metric, metric)),
        words(space.names[i]),
        words(space.names[j]),
        words(RELATIONS[related][0]),
        figure(value("distance")),
        figure(own),
        words("yes" if value("drawn") else "no"),
        figure(value("p_labels"), p_value),
        figure(value("p_trials"), p_value),
        Cell(sizes, int(value("n_conditions"))),
        figure(value("full")),
    )
    return Line(cells, "" if value("drawn") else "aside")
