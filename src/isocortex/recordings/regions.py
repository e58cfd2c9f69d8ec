"""A region's part of a recording: which neuroids, which were dropped and why, and what their repeats say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings import reliability, repeats
from isocortex.recordings.places import Clause, in_places, told
from isocortex.recordings.windows import in_window, window_bins

NO_RESPONSE, CONSTANT = "no valid response", "constant"
POSITION = ("x", "y", "z")
VOLUME = ("affine", "shape")  # of the volume that neuroids are voxels of, as JSON
CARRIED = (*VOLUME, "space", "unit")  # what a recording says of itself and a region keeps


class EmptyRegionError(DataError):
    """A region of which one subject has nothing to give; its text is the reason."""


@dataclass(frozen=True)
class Selection:
    """What makes a region of one subject.

    `anywhere` holds mappings of neuroid coordinates to allowed values, one of which a neuroid must fit (none given: all
    neuroids are taken); `train` holds the ids whose repeats may decide
    which neuroids stay, or None for all; `set_name` and `stimulus_ids` are the subject's stimulus set in its order; `window` is
    of a response in time, in seconds (None: all of it);
    `places` holds for each of `anywhere` what a neuroid must fit besides (`recordings.places`).
    """

    region: str
    subject: str
    set_name: str
    stimulus_ids: Sequence[str]
    anywhere: Sequence[Mapping[str, Sequence[str]]]
    train: Sequence[str] | None = None
    min_reliability: float | None = None
    seed: int = 0
    window: tuple[float, float] | None = None
    places: Sequence[Sequence[Clause]] = ()

    @property
    def place(self) -> str:
        """Names region and subject in messages."""
        return f"region {self.region}, subject {self.subject}"


def select(recording: xr.Dataset, selection: Selection, dim: str = "neuroid") -> np.ndarray:
    """Indices along `dim` that fit any of the mappings: every coordinate has one of its allowed values.

    Raises `DataError` for a coordinate that the recording lacks, `EmptyRegionError` where nothing is left.
    """
    wanted = selection.anywhere or ({},)
    mask = np.zeros(recording.sizes[dim], dtype=bool)
    cuts = selection.places or [()] * len(wanted)
    for where, cut in zip(wanted, cuts, strict=True):
        fitting = _fits(recording, where, selection.place, dim)
        mask |= in_places(recording, cut, fitting, selection.place) if cut else fitting
    if not mask.any() and selection.places:
        asked_for = " or ".join(told(cut) for cut in cuts)
        raise EmptyRegionError(f"no {dim} of {len(mask)} lies in {asked_for} ({_extent(recording)})")
    if not mask.any():
        asked = [{name: list(values) for name, values in where.items()} for where in wanted]
        names = {name for where in wanted for name in where}
        there = {name: np.unique(recording[name].to_numpy().astype(str))[:12].tolist() for name in sorted(names)}
        raise EmptyRegionError(f"no {dim} fits {' or '.join(map(json.dumps, asked))} (found {json.dumps(there)})")
    return np.flatnonzero(mask)


def _extent(recording: xr.Dataset) -> str:
    """Where a recording's neuroids lie, for messages."""
    ends = []
    for axis in POSITION:
        values = recording[axis].to_numpy()
        known = values[np.isfinite(values)]
        ends.append(f"{axis} {known.min():g} to {known.max():g}" if len(known) else f"{axis} unknown")
    return f"they lie at {', '.join(ends)} mm"


def _fits(recording: xr.Dataset, where: Mapping[str, Sequence[str]], place: str, dim: str) -> np.ndarray:
    known = [str(name) for name, coord in recording.coords.items() if coord.dims == (dim,)]
    mask = np.ones(recording.sizes[dim], dtype=bool)
    for name, allowed in where.items():
        if name not in known:
            raise DataError(f"{place}: no {dim} coordinate {name!r}, found {', '.join(sorted(known))}; correct 'where'")
        mask &= np.isin(recording[name].to_numpy().astype(str), np.asarray(list(allowed), dtype=str))
    return mask


def build_patterns(recording: xr.Dataset, selection: Selection) -> xr.Dataset:
    """The region's trials, averaged responses and reliability for one subject.

    Returns
    -------
    Dataset with `trials` (stimulus, repeat, neuroid), `response` (stimulus, neuroid), `n_repeats` (stimulus), `shown`
    (stimulus, repeat; each trial's place among the recording's presentations, so that trials can be blocked in time; -1 where
    there is no trial), `trial_session` and `trial_run` (stimulus, repeat; where the recording has them), `reliability`
    (neuroid; of the averaged response, from repeats of the training stimuli, NaN with one repeat), coords stimulus_id,
    first_shown (place of the first presentation in the recording), session and run (where no stimulus was shown in more than
    one), neuroid_id and all others of the neuroids; attrs set, n_dropped, dropped {reason: count}, dropped_ids {reason: ids},
    of a response in time time_start, time_end (s) and n_bins, and what the recording says of itself: affine, shape, space, unit
    and as dropped_before {reason: count} what was left out of it when it was read.

    Raises
    ------
    DataError with fewer than two stimuli; EmptyRegionError where no neuroid is left.
    """
    part = recording.isel(neuroid=select(recording, selection))
    shown = recording["stimulus_id"].to_numpy().astype(str).tolist()
    ids = repeats.presented(selection.stimulus_ids, shown)
    if len(ids) < 2:
        raise DataError(
            f"{selection.place}: found {len(ids)} presented stimuli, expected at least 2; use another recording or stimulus set"
        )
    trials = repeats.trials(in_window(part, selection.window, selection.place), shown, ids)
    train = _train_rows(ids, selection)
    response, counts = repeats.average(trials)
    reliable = reliability.reliability(trials[train], seed=selection.seed)
    reasons = _reasons(response, counts, train, reliable, selection)
    keep = np.flatnonzero(reasons == "")
    dropped = _dropped(reasons, part["neuroid_id"].to_numpy().astype(str))
    if len(keep) == 0:
        raise EmptyRegionError("; ".join(f"{len(names)} neuroids dropped: {reason}" for reason, names in dropped.items()))
    if len(keep) < trials.shape[2]:
        trials, response = trials[:, :, keep], response[:, keep]
    present = np.stack([np.isfinite(trials[:, number]).any(axis=1) for number in range(trials.shape[1])], axis=1)
    # Up to the last repeat that anything is known of: one before it may have failed in all neuroids of the region.
    used = int(np.flatnonzero(present.any(axis=0)).max(initial=0)) + 1
    trials, present = trials[:, :used], present[:, :used]
    places = np.where(present, repeats.places(shown, ids)[:, :used], -1)
    labels = {name: coord for name, coord in part.isel(neuroid=keep).coords.items() if coord.dims == ("neuroid",)}
    return xr.Dataset(
        {
            "trials": (("stimulus", "repeat", "neuroid"), trials),
            "response": (("stimulus", "neuroid"), response),
            "n_repeats": ("stimulus", present.sum(axis=1).astype(np.int64)),
            "shown": (("stimulus", "repeat"), places),
            **_parts_of_time(recording, places),
            "reliability": ("neuroid", reliable[keep]),
        },
        coords={"stimulus_id": ("stimulus", np.asarray(ids, dtype=str)), **_when(recording, shown, ids), **labels},
        attrs={
            "subject": selection.subject,
            "set": selection.set_name,
            "n_selected": int(part.sizes["neuroid"]),
            "n_dropped": int(part.sizes["neuroid"] - len(keep)),
            "dropped": json.dumps({reason: len(names) for reason, names in dropped.items()}),
            "dropped_ids": json.dumps(dropped),
            "reliability_stimuli": "all" if selection.train is None else "training",
            "n_reliability_stimuli": len(train),
            **_times(recording, selection),
            **_carried(recording),
        },
    )


def _when(recording: xr.Dataset, shown: Sequence[str], ids: Sequence[str]) -> dict[str, tuple[str, np.ndarray]]:
    """When each stimulus was shown, as coordinates."""
    order = {stimulus: row for row, stimulus in enumerate(ids)}
    rows = np.asarray([order.get(stimulus, -1) for stimulus in shown], dtype=np.int64)
    places = np.flatnonzero(rows >= 0)
    first = np.full(len(ids), len(shown), dtype=np.int64)
    np.minimum.at(first, rows[places], places)
    found = {"first_shown": ("stimulus", first)}
    for name in ("session", "run"):
        if name in recording.coords and recording[name].dims == ("presentation",):
            values = recording[name].to_numpy().astype(str)
            if (values[first[rows[places]]] == values[places]).all():
                found[name] = ("stimulus", values[first])
    return found


def _parts_of_time(recording: xr.Dataset, places: np.ndarray) -> dict[str, tuple[tuple[str, str], np.ndarray]]:
    """Session and run of every trial, as text."""
    found = {}
    for name in ("session", "run"):
        if name in recording.coords and recording[name].dims == ("presentation",):
            values = np.append(recording[name].to_numpy().astype(str), "")
            found[f"trial_{name}"] = (("stimulus", "repeat"), values[places])  # -1 is the last: none
    return found


def _carried(recording: xr.Dataset) -> dict[str, Any]:
    """What the recording says of itself, as attributes."""
    said = {name: recording.attrs[name] for name in CARRIED if name in recording.attrs}
    return said | ({"dropped_before": recording.attrs["dropped"]} if recording.attrs.get("dropped") else {})


def _times(recording: xr.Dataset, selection: Selection) -> dict[str, Any]:
    """What is known of the time after a stimulus that responses are of: attributes, in seconds."""
    if "time" not in recording.dims:
        return {}
    bins = window_bins(recording, selection.window, selection.place)
    start, end = float(recording["time"][bins[0]]), float(recording["time_end"][bins[-1]])
    return {"time_start": start, "time_end": end, "n_bins": len(bins), "over_time": str(recording.attrs["over_time"])}


def _train_rows(ids: Sequence[str], selection: Selection) -> np.ndarray:
    """Rows of the stimuli that may decide which neuroids stay."""
    if selection.train is None:
        return np.arange(len(ids))
    train = set(selection.train)
    if not train <= set(ids):
        missing = sorted(train - set(ids))[0]
        raise DataError(
            f"{selection.place}: the split names stimulus {missing!r}, which was not presented; make the splits again"
        )
    return np.asarray([row for row, stimulus in enumerate(ids) if stimulus in train], dtype=np.int64)


def _reasons(
    response: np.ndarray, counts: np.ndarray, train: np.ndarray, reliable: np.ndarray, selection: Selection
) -> np.ndarray:
    """Why each neuroid is dropped, "" for the kept; the first reason that applies."""
    reasons = np.full(response.shape[1], "", dtype=object)
    if selection.min_reliability is not None:
        if np.isnan(reliable).all():
            raise EmptyRegionError(f"no repeats, so reliability (at least {selection.min_reliability:g}) is unknown")
        low = ~(reliable >= selection.min_reliability)
        reasons[low] = f"reliability below {selection.min_reliability:g}"
    # A mean of equal values differs from them by rounding; anything within it is no variation.
    high, low = (np.float64(end(response[train], axis=0)) for end in (np.max, np.min))
    reasons[high - low <= 1e-6 * np.maximum(np.abs(high), np.abs(low))] = CONSTANT
    reasons[counts.min(axis=0) == 0] = NO_RESPONSE
    return reasons


def _dropped(reasons: np.ndarray, names: np.ndarray) -> dict[str, list[str]]:
    return {str(reason): names[reasons == reason].tolist() for reason in sorted(set(reasons) - {""})}


def build_rdm(recording: xr.Dataset, selection: Selection) -> xr.Dataset:
    """The region's RDM of one subject: `rdm` (stimulus, stimulus_) with coord stimulus_id.

    `anywhere` may name it as {region: [NAME]}; by default it is the region's own name. Raises `EmptyRegionError` where
    the subject has none, or one less reliable than `min_reliability`; `DataError` where more than one fits. attrs have its
    `reliability` (NaN where it is not known) and `note`, how it was made, beside those of patterns.
    """
    anywhere = [where for where in selection.anywhere if where] or [{"region": [selection.region]}]
    index = select(recording, Selection(selection.region, selection.subject, "", (), anywhere), dim="region")
    if len(index) > 1:
        raise DataError(f"{selection.place}: found {len(index)} RDMs for {json.dumps(anywhere)}, expected one; name one region")
    if recording.sizes["stimulus"] < 3:
        raise DataError(f"{selection.place}: found {recording.sizes['stimulus']} stimuli, expected at least 3 for an RDM")
    ids = recording["stimulus_id"].to_numpy().astype(str)
    told = {name: recording[name].to_numpy()[index[0]] for name in ("reliability", "note") if name in recording.coords}
    reliable, least = float(told.get("reliability", np.nan)), selection.min_reliability
    if least is not None and not reliable >= least:
        raise EmptyRegionError(f"the RDM's reliability is {reliable:.3g}, expected at least {least:g} (nan: it is not known)")
    return xr.Dataset(
        {"rdm": (("stimulus", "stimulus_"), recording["rdm"].to_numpy()[index[0]])},
        coords={"stimulus_id": ("stimulus", ids)},
        attrs={
            "subject": selection.subject,
            "set": selection.set_name,
            "n_dropped": 0,
            "dropped": "{}",
            "dropped_ids": "{}",
            "reliability": reliable,
            "note": str(told.get("note", "")),
            **_carried(recording),
        },
    )


BUILDERS = {"patterns": build_patterns, "rdm": build_rdm}


def build_tree(parts: Mapping[str, xr.Dataset], absent: Mapping[str, str], attrs: Mapping[str, Any]) -> xr.DataTree:
    """One node per subject under a root that says what is missing.

    Raises `EmptyRegionError` where no subject has anything.
    """
    if not parts:
        reasons = "; ".join(f"{subject}: {reason}" for subject, reason in absent.items())
        raise EmptyRegionError(
            f"region {attrs['region']}: no subject has a neuroid left ({reasons}); correct 'where', or lower min_reliability"
        )
    root = xr.Dataset(attrs={**attrs, "absent": json.dumps(dict(absent))})
    return xr.DataTree.from_dict({"/": root, **{f"/{subject}": part for subject, part in parts.items()}})
