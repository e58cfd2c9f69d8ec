"""The results of an identification as one dataset."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from isocortex.identification.calibration import BINS, Calibration, calibrate
from isocortex.identification.plan import MEASURED
from isocortex.identification.rates import confusion, rate_of, standing, verdict

if TYPE_CHECKING:
    from isocortex.identification.identified import Identified, Outcome

_STANDING = {"mean_rank": "rank", "margin": "margin", "margin_sem": "margin_sem", "index": "index", "same_kind": "true",
             "other_kinds": "false"}  # fmt: skip
_CALIBRATED = ("temperature", "ece", "ece_expected", "ece_limit")
_RATE = ("rate", "low", "high", "n")


def dataset(found: Identified) -> xr.Dataset:
    """What was found, method by method.

    At the region's own point, (method,): `rate`, `rate_low`, `rate_high` (95 %, Wilson, worlds as samples), `n_worlds`,
    `mean_rank`, `margin` with its standard error over worlds `margin_sem` and their ratio `margin_z`, `index`, `verdict`,
    `temperature`, `ece`, `ece_expected` and `ece_limit`; mean scores of another instance of the true kind (`same_kind`, which
    bounds what a model of the right kind can have), of the other kinds (`other_kinds`) and of the very network (`itself`), and
    `rate_itself`, the rate if that were the candidate. `confusion` (method, truth, kind); `stated`, `observed` and `bin_worlds`
    (method, bin); `measured_…` (method, measurement) and `sweep_…` (method, sweep): rate, low, high, n, with `axis`, `level`
    and `number` (sweep,). `score` (method, world, kind), higher is closer, NaN where a world was not asked, and what was true.
    `chance` is 1 / K. Where some kinds are never the truth, `blind`, one over the number of those that are, is the most that a
    method can have which knows nothing: truths take turns, and it may favour them. Verdicts go by this.
    """
    methods = list(found.outcomes)
    own = [found.outcomes[name][0] for name in methods]
    truths = [found.worlds.truth[: len(outcome.scores)] for outcome in own]
    calibrated = [_calibrated(found, outcome) for outcome in own]
    tables = [confusion(o.scores, t, len(found.kinds)) for o, t in zip(own, truths, strict=True)]
    rates = [rate_of(o.scores, t) for o, t in zip(own, truths, strict=True)]
    chance, blind = 1.0 / len(found.kinds), 1.0 / len(found.truths)
    places = list(found.truths)
    variables = {
        **_rates("", ("method",), rates),
        **_standings([standing(o.scores, t) for o, t in zip(own, truths, strict=True)]),
        **_very_network(own, truths),
        **{name: ("method", np.array([getattr(c, name) for c in calibrated])) for name in _CALIBRATED},
        "verdict": ("method", [verdict(r, table, blind) for r, table in zip(rates, tables, strict=True)]),
        "confusion": (("method", "truth", "kind"), _stacked([t[places] for t in tables], (len(places), len(found.kinds)))),
        **_bins(calibrated),
        **_by_measurement(found, own),
        **_sweeps(found, methods),
        **_worlds(found, own),
        "chance": ((), chance),
        "blind": ((), blind),
    }  # fmt: skip
    coords = {"method": methods, "kind": list(found.kinds), "truth": [found.kinds[k] for k in places],
              "measurement": list(found.plan.measurements)}  # fmt: skip
    attrs = {"skipped": json.dumps(dict(found.skipped)), "seed": found.plan.seed, "worlds": found.plan.worlds}
    return xr.Dataset(
        variables, coords, {**attrs, "n_stimuli": found.points[0].stimuli, "n_neuroids": found.points[0].neuroids}
    )


def _stacked(tables: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    return np.array(tables).reshape(-1, *shape)


def _calibrated(found: Identified, outcome: Outcome) -> Calibration:
    w = len(outcome.scores)
    groups = list(zip(found.worlds.truth[:w].tolist(), found.worlds.instance[:w], strict=True))
    return calibrate(outcome.scores, found.worlds.truth[:w], groups, found.plan.seed)


def _rates(prefix: str, dims: tuple[str, ...], rates: object) -> dict[str, tuple]:
    """Rates in nested lists as variables; those at the region's own point have names of their own."""
    names = {"": ("rate", "rate_low", "rate_high", "n_worlds")}.get(prefix, tuple(f"{prefix}_{field}" for field in _RATE))
    items = np.array(rates, dtype=object)
    return {
        name: (dims, np.array([getattr(item, field) for item in items.ravel()]).reshape(items.shape))
        for name, field in zip(names, _RATE, strict=True)
    }


def _standings(standings: list) -> dict[str, tuple]:
    made = {name: np.array([getattr(item, field) for item in standings], dtype=float) for name, field in _STANDING.items()}
    with np.errstate(invalid="ignore", divide="ignore"):
        made["margin_z"] = made["margin"] / made["margin_sem"]
    return {name: ("method", values) for name, values in made.items()}


def _very_network(own: list[Outcome], truths: list[np.ndarray]) -> dict[str, tuple]:
    scores, rates = [], []
    for outcome, truth in zip(own, truths, strict=True):
        replaced = outcome.scores.copy()
        replaced[np.arange(len(truth)), truth] = outcome.itself
        rates.append(rate_of(replaced, truth).rate)
        finite = outcome.itself[np.isfinite(outcome.itself)]
        scores.append(float(finite.mean()) if len(finite) else np.nan)
    return {"itself": ("method", np.array(scores)), "rate_itself": ("method", np.array(rates))}


def _bins(calibrated: list[Calibration]) -> dict[str, tuple]:
    table = np.full((len(calibrated), BINS, 3), np.nan)
    for row, item in enumerate(calibrated):
        table[row, : len(item.bins)] = item.bins
    return {name: (("method", "bin"), table[:, :, k]) for k, name in enumerate(("stated", "observed", "bin_worlds"))}


def _by_measurement(found: Identified, own: list[Outcome]) -> dict[str, tuple]:
    how = np.array(found.worlds.measurement)
    rates = np.empty((len(own), len(found.plan.measurements)), dtype=object)
    for row, outcome in enumerate(own):
        w = len(outcome.scores)
        for column, name in enumerate(found.plan.measurements):
            mine = how[:w] == name
            rates[row, column] = rate_of(outcome.scores[mine], found.worlds.truth[:w][mine])
    return _rates("measured", ("method", "measurement"), rates)


def _sweeps(found: Identified, methods: list[str]) -> dict[str, tuple]:
    places = [k for k, point in enumerate(found.points) if point.axis != MEASURED]
    points = [found.points[k] for k in places]
    rates = np.empty((len(methods), len(places)), dtype=object)
    for row, name in enumerate(methods):
        for column, place in enumerate(places):
            scores = found.outcomes[name][place].scores
            rates[row, column] = rate_of(scores, found.worlds.truth[: len(scores)])
    return {
        **_rates("sweep", ("method", "sweep"), rates),
        "axis": ("sweep", np.array([point.axis for point in points], dtype=str)),
        "level": ("sweep", np.array([point.level for point in points])),
        "number": ("sweep", np.array([float(getattr(point, point.axis)) for point in points])),
    }


def _worlds(found: Identified, own: list[Outcome]) -> dict[str, tuple]:
    scores = np.full((len(own), len(found.worlds.truth), len(found.kinds)), np.nan)
    for row, outcome in enumerate(own):
        scores[row, : len(outcome.scores)] = outcome.scores
    return {
        "score": (("method", "world", "kind"), scores),
        "world_kind": ("world", np.array([found.kinds[k] for k in found.worlds.truth])),
        "world_instance": ("world", np.array(found.worlds.instance)),
        "world_layer": ("world", np.array(found.worlds.layer)),
        "world_measurement": ("world", np.array(found.worlds.measurement)),
    }
