"""The results of an identification as one dataset."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from isocortex.identification.calibration import BINS, Calibration, calibrate
from isocortex.identification.plan import ALONE, MEASURED
from isocortex.identification.rates import confusion, judged, rate_of, standing, verdict

if TYPE_CHECKING:
    from isocortex.identification.identified import Identified, Outcome

_STANDING = {"mean_rank": "rank", "margin": "margin", "margin_sem": "margin_sem", "index": "index", "same_kind": "true",
             "other_kinds": "false"}  # fmt: skip
_CALIBRATED = ("temperature", "ece", "ece_expected", "ece_limit")
_RATE = ("rate", "low", "high", "n")


def dataset(found: Identified) -> xr.Dataset:
    """What was found, method by method.

    At the region's own point, (method,): `rate`, `rate_low`, `rate_high` (95 %, Wilson, worlds as samples), `n_worlds` with a
    score, `without_score` that have none and do not count, `mean_rank`, `margin` with its standard error over worlds
    `margin_sem` and their ratio `margin_z`, `index`, `verdict`, `temperature`, `ece`, `ece_expected` and `ece_limit`; mean
    scores of another instance of the true kind (`same_kind`: a mean over worlds, no bound of what a model of the right kind can
    have), of the other kinds (`other_kinds`) and of the very network (`itself`), and `rate_itself`, the rate if that were the
    candidate. `confusion` (method, truth, kind); `stated`, `observed` and `bin_worlds` (method, bin); `measured_…` (method,
    measurement) and `sweep_…` (method, sweep): rate, low, high, n, with `axis`, `level` and `number` (sweep,). `score` (method,
    world, kind), higher is closer, NaN where a world was not asked, and what was true.
    `chance` is 1 / T of the T kinds that can be the truth: the most that a method can have which knows nothing, for truths take
    turns, and it may favour them. `alone_…` (method,): rate, low, high, n where there is nothing but noise.
    """
    methods = list(found.outcomes)
    own = [found.outcomes[name][0] for name in methods]
    truths = [found.worlds.truth[: len(outcome.scores)] for outcome in own]
    calibrated = [_calibrated(found, outcome) for outcome in own]
    tables = [confusion(o.scores, t, len(found.kinds)) for o, t in zip(own, truths, strict=True)]
    rates = [rate_of(o.scores, t) for o, t in zip(own, truths, strict=True)]
    chance = 1.0 / len(found.truths)
    places = list(found.truths)
    variables = {
        **_rates("", ("method",), rates),
        **_standings([standing(o.scores, t) for o, t in zip(own, truths, strict=True)]),
        **_very_network(own, truths),
        **{name: ("method", np.array([getattr(c, name) for c in calibrated])) for name in _CALIBRATED},
        "verdict": ("method", [verdict(r, table, chance) for r, table in zip(rates, tables, strict=True)]),
        "confusion": (("method", "truth", "kind"), _stacked([t[places] for t in tables], (len(places), len(found.kinds)))),
        **_bins(calibrated),
        **_by_measurement(found, own),
        **_sweeps(found, methods),
        **_alone(found, methods),
        **_worlds(found, own),
        "without_score": ("method", np.array([int((~judged(o.scores)).sum()) for o in own], dtype=int)),
        "chance": ((), chance),
    }  # fmt: skip
    coords = {"method": methods, "kind": list(found.kinds), "truth": [found.kinds[k] for k in places],
              "measurement": list(found.plan.measurements)}  # fmt: skip
    attrs = {"skipped": json.dumps(dict(found.skipped)), "dropped": json.dumps(list(found.dropped)),
             "method_notes": json.dumps(dict(found.notes)), "seed": found.plan.seed, "worlds": found.plan.worlds}  # fmt: skip
    return xr.Dataset(
        variables, coords, {**attrs, "n_stimuli": found.points[0].stimuli, "n_neuroids": found.points[0].neuroids}
    )


def _stacked(tables: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    return np.array(tables).reshape(-1, *shape)


def _calibrated(found: Identified, outcome: Outcome) -> Calibration:
    rows = np.flatnonzero(judged(outcome.scores))
    truth = found.worlds.truth[rows]
    groups = [(int(kind), found.worlds.instance[row]) for kind, row in zip(truth, rows, strict=True)]
    return calibrate(outcome.scores[rows], truth, groups, found.plan.seed)


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
        some = judged(outcome.scores)
        rates.append(rate_of(replaced[some], truth[some]).rate)
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
    places = [k for k, point in enumerate(found.points) if point.axis not in (MEASURED, ALONE)]
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


def _alone(found: Identified, methods: list[str]) -> dict[str, tuple]:
    place = next((k for k, point in enumerate(found.points) if point.axis == ALONE), None)
    rates = np.empty(len(methods), dtype=object)
    for row, name in enumerate(methods):
        scores = found.outcomes[name][place].scores if place is not None else np.empty((0, len(found.kinds)))
        rates[row] = rate_of(scores, found.worlds.truth[: len(scores)])
    return _rates("alone", ("method",), rates)


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
