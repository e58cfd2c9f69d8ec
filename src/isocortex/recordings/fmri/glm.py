"""From a run's signals and events to one estimate per presentation, by nilearn's first-level general linear model.

Pure functions: arrays of volumes × neuroids and tables in, arrays out.

Sources: Mumford JA, Turner BO, Ashby FG, Poldrack RA (2012), NeuroImage 59:2636-2643 (least squares, all and separate);
nilearn's documentation of `make_first_level_design_matrix` and `run_glm`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from isocortex.errors import DataError
from isocortex.recordings.fmri.events import check_within

BLOCK = 10_000  # neuroids that are fitted at a time
DEFAULTS: Mapping[str, Any] = {
    "model": "lsa",
    "hrf": "glover",
    "drift": "cosine",
    "high_pass": 0.01,
    "drift_order": 1,
    "fir_delays": [1, 2, 3],
    "standardize": "percent",
    "noise": "ar1",
    "slice_time": 0.0,
}


def presentations(events: pd.DataFrame, model: str) -> pd.DataFrame:
    """Which presentations a model estimates: onset (s) and trial_type, in the order of their (first) onsets.

    `events` as `clean_events` gives them. `lsa` and `lss` have one per event, `condition` one per trial_type.
    """
    kept = ~events["trial_type"].duplicated() if model == "condition" else np.ones(len(events), dtype=bool)
    return pd.DataFrame({name: events[name].to_numpy()[kept] for name in ("onset", "trial_type")})


def estimates(
    signals: np.ndarray, events: pd.DataFrame, tr: float, options: Mapping[str, Any], confounds: pd.DataFrame | None, where: str
) -> np.ndarray:
    """One estimate per presentation.

    Parameters
    ----------
    signals : (n_volumes, n_neuroids), one run.
    events : onset and duration in seconds, trial_type; as `clean_events` gives them.
    tr : seconds between volumes.
    options : as `DEFAULTS`. `model`: `lsa` (one design with a regressor per event), `lss` (a design per event: it, and all
        others as one regressor), `condition` (a regressor per trial_type). `hrf`: a name of nilearn's, `none` (events as they
        are) or `fir` (the mean of the coefficients at `fir_delays` volumes after the onset). `standardize`: `percent` of a
        neuroid's mean, `zscore` or `none`. `noise`: `ar1` or `ols`. `slice_time`: the part of `tr` at which volumes are dated.
    confounds : (n_volumes, k) or None.

    Returns
    -------
    (n_presentations, n_neuroids) float32, rows as `presentations` says; NaN for a neuroid that is constant, has a gap, or (with
    `percent`) a mean that is not positive.

    Raises
    ------
    DataError for signals without any value, events outside the run, and designs that cannot tell presentations apart.
    """
    options = {**DEFAULTS, **{name: value for name, value in options.items() if name in DEFAULTS}}
    check_within(events, len(signals), tr, where)
    if not np.isfinite(signals).any():
        raise DataError(f"{where}: all values are NaN, expected numbers; leave the run out, or make its file again")
    regressors = _regressors(events, len(signals), tr, options)
    nuisance = _nuisance(len(signals), tr, options, confounds)
    result = np.full((len(regressors), signals.shape[1]), np.nan, dtype=np.float32)
    for start in range(0, signals.shape[1], BLOCK):  # neuroids are independent, and float64 copies of all would not fit
        some = slice(start, start + BLOCK)
        scaled, usable = _scaled(signals[:, some].astype(np.float64), options["standardize"])
        fitted = MODELS[options["model"]](scaled[:, usable], regressors, nuisance, options["noise"], where)
        # Derivatives take up a delay; the coefficients of FIR are all of the response.
        result[:, some][:, usable] = fitted.mean(axis=1) if options["hrf"] == "fir" else fitted[:, 0]
    return result


def _scaled(signals: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Signals in their unit, and which neuroids have one."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, spread = signals.mean(axis=0), signals.std(axis=0)
        usable = np.isfinite(signals).all(axis=0) & (spread > 1e-12 * np.abs(mean)) & (spread > 0)
        if how == "percent":
            usable &= mean > 0
        scales: dict[str, Callable[[], np.ndarray]] = {
            "percent": lambda: 100 * (signals / mean - 1),
            "zscore": lambda: (signals - mean) / spread,
            "none": lambda: signals,
        }
        return scales[how](), usable


def _regressors(events: pd.DataFrame, n: int, tr: float, options: Mapping[str, Any]) -> np.ndarray:
    """What each presentation predicts: (n_presentations, n_volumes, k)."""
    if options["model"] == "condition":
        groups = [events.loc[events["trial_type"] == name] for name in presentations(events, "condition")["trial_type"]]
    else:
        groups = [events.iloc[[row]] for row in range(len(events))]
    make = _fir if options["hrf"] == "fir" else _convolved
    return np.stack([make(group, n, tr, options) for group in groups])


def _fir(events: pd.DataFrame, n: int, tr: float, options: Mapping[str, Any]) -> np.ndarray:
    first = np.round(events["onset"].to_numpy() / tr - options["slice_time"]).astype(int)
    found = np.zeros((n, len(options["fir_delays"])))
    for column, delay in enumerate(options["fir_delays"]):
        rows = first + delay
        np.add.at(found[:, column], rows[(rows >= 0) & (rows < n)], 1.0)
    return found


def _convolved(events: pd.DataFrame, n: int, tr: float, options: Mapping[str, Any]) -> np.ndarray:
    from nilearn.glm.first_level import compute_regressor

    condition = np.stack([events["onset"], events["duration"], np.ones(len(events))])
    # An event of no duration is an impulse, whose height nilearn makes one step of its own oversampled time.
    found, _ = compute_regressor(
        condition, None if options["hrf"] == "none" else options["hrf"], _times(n, tr, options), oversampling=50
    )
    return np.asarray(found)


def _times(n: int, tr: float, options: Mapping[str, Any]) -> np.ndarray:
    return (np.arange(n) + options["slice_time"]) * tr


def _nuisance(n: int, tr: float, options: Mapping[str, Any], confounds: pd.DataFrame | None) -> np.ndarray:
    """Drifts, the constant, and confounds without those that are constant: (n_volumes, k)."""
    from nilearn.glm.first_level import make_first_level_design_matrix

    with warnings.catch_warnings():
        # nilearn's own columns of slow drifts; whether they can be told apart is checked below, with all others.
        warnings.filterwarnings("ignore", message="Matrix is singular at working precision", category=UserWarning)
        drift = make_first_level_design_matrix(
            _times(n, tr, options),
            drift_model=options["drift"],
            high_pass=options["high_pass"],
            drift_order=options["drift_order"],
        ).to_numpy()
    if confounds is None or not confounds.shape[1]:
        return drift
    values = confounds.to_numpy(dtype=np.float64)
    spread = values.std(axis=0)
    varied = spread > 0
    return np.column_stack([(values[:, varied] - values[:, varied].mean(axis=0)) / spread[varied], drift])


def _together(signals: np.ndarray, regressors: np.ndarray, nuisance: np.ndarray, noise: str, where: str) -> np.ndarray:
    """Coefficients (n_presentations, k, n_neuroids), all presentations in one design."""
    count, _, k = regressors.shape
    design = np.column_stack([*regressors, nuisance])
    _check_design(design, regressors, where)
    return _fitted(signals, design, noise)[: count * k].reshape(count, k, -1)


def _separate(signals: np.ndarray, regressors: np.ndarray, nuisance: np.ndarray, noise: str, where: str) -> np.ndarray:
    """A design for each presentation: itself, all others as one, and what is no presentation."""
    total, k = regressors.sum(axis=0), regressors.shape[2]
    found = []
    for number, own in enumerate(regressors):
        others = [total - own] if len(regressors) > 1 else []
        design = np.column_stack([own, *others, nuisance])
        _check_design(design, regressors[[number]], where, number)
        found.append(_fitted(signals, design, noise)[:k])
    return np.stack(found)


MODELS: Mapping[str, Callable[..., np.ndarray]] = {"lsa": _together, "condition": _together, "lss": _separate}


def _check_design(design: np.ndarray, regressors: np.ndarray, where: str, first: int = 0) -> None:
    weak = np.flatnonzero(~(np.abs(regressors).max(axis=1) > 1e-8).any(axis=1))
    if len(weak):
        raise DataError(
            f"{where}: presentation {first + int(weak[0]) + 1} changes no volume of the run, expected some; it starts too "
            "late: leave it out"
        )
    scale = np.linalg.norm(design, axis=0)
    rank = np.linalg.matrix_rank(design / np.where(scale > 0, scale, 1))
    if rank < design.shape[1] or design.shape[1] >= len(design):
        raise DataError(
            f"{where}: a design of {design.shape[1]} columns (rank {rank}) for {len(design)} volumes cannot tell them apart, "
            "expected fewer; say model: lss or condition, fewer confounds, or a lower high_pass"
        )


def _fitted(signals: np.ndarray, design: np.ndarray, noise: str) -> np.ndarray:
    """Coefficients (n_columns, n_neuroids)."""
    from nilearn.glm.first_level import run_glm

    found = np.full((design.shape[1], signals.shape[1]), np.nan)
    if not signals.shape[1]:
        return found
    labels, results = run_glm(signals, design, noise_model=noise)
    result: Any
    for label, result in results.items():
        found[:, labels == label] = result.theta
    return found
