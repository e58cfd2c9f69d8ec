"""A region's subjects as encoders and readouts take them: responses, the trials of the test stimuli, splits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isocortex.encoding.runs import detrend_runs, zscore_runs
from isocortex.errors import DataError
from isocortex.inference.encoder_cells import Brain
from isocortex.storage.atomic import read_json
from isocortex.storage.tables import open_tree

# Trials are read in pieces of this size, of which only the test stimuli are kept.
READ_BYTES = 64 << 20
FIRST_FOLD = "scored on the first outer fold only, so that its fixed predictions may be permuted"


@dataclass(frozen=True)
class Subject:
    """One subject's part of the region. y : (n, v) float32 averaged responses, rows in the order of the splits. trials :
    (Σ n_test, R, v) of the test stimuli, outer split after outer split."""

    name: str
    set_name: str
    ids: list[str]
    y: np.ndarray
    trials: np.ndarray
    split: dict[str, Any]
    brain: Brain

    @property
    def runs(self) -> list[str] | None:
        """Run of every stimulus where stimuli are samples in time, else None."""
        if self.split.get("kind", "stimulus") == "stimulus":
            return None
        return self.split.get("runs") or ["0"] * len(self.ids)


def subjects_of(inputs: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Subject]:
    """The subjects of a job that have its region, their responses cleaned as its options ask."""
    brain, splits, sets = inputs["brain"], inputs["splits"], options["subjects"]
    with open_tree(brain) as tree:
        if tree.attrs.get("level", "patterns") != "patterns":
            raise DataError(
                f"{brain}: found level {tree.attrs['level']!r}, expected patterns; an encoder needs responses, not RDMs"
            )
        members = {
            name: _member(name, tree.children[name].to_dataset(), read_json(splits[name]), set_name, brain)
            for name, set_name in sets.items()
            if name in tree.children
        }
    if not members:
        raise DataError(
            f"{brain}: found no subject with this region, expected some of {list(sets)}; see its attribute `absent`"
        )
    return {name: _cleaned(member, options.get("cleaning", {})) for name, member in members.items()}


def _member(name: str, part: Any, split: dict[str, Any], set_name: str, path: str) -> Subject:
    position = {str(key): row for row, key in enumerate(part["stimulus_id"].values)}
    ids = split["stimulus_ids"]
    lost = [key for key in ids if key not in position]
    if lost:
        raise DataError(
            f"{path}: subject {name}: found no responses to {len(lost)} stimuli of its split (first {lost[0]!r}), "
            "expected all; run the region again"
        )
    rows = np.array([position[key] for key in ids])
    tested = np.concatenate([np.asarray(outer["test"]) for outer in split["outer"]])
    dropped = json.loads(part.attrs.get("dropped", "{}"))
    brain = Brain(
        neuroid_id=part["neuroid_id"].values.astype(str),
        xyz=np.stack([part[axis].values if axis in part else np.full(part.sizes["neuroid"], np.nan) for axis in "xyz"]),
        reliability=part["reliability"].values,
        n_repeats=int(np.median(part["n_repeats"].values[rows][tested])),
        n_dropped=int(part.attrs.get("n_dropped", sum(dropped.values()))),
        dropped_reason=", ".join(f"{count} {reason}" for reason, count in dropped.items() if count),
    )
    response = part["response"].transpose("stimulus", "neuroid").values
    if not np.array_equal(rows, np.arange(len(response))):
        response = response[rows]
    return Subject(name, set_name, ids, response, _rows(part["trials"], rows[tested]), split, brain)


def _rows(trials: Any, wanted: np.ndarray) -> np.ndarray:
    """Some stimuli (in any order) of `trials`, float32 (n, R, v), without reading all of it at once."""
    trials = trials.transpose("stimulus", "repeat", "neuroid")
    step = max(1, READ_BYTES // (4 * max(1, trials.sizes["repeat"] * trials.sizes["neuroid"])))
    result = np.empty((len(wanted), trials.sizes["repeat"], trials.sizes["neuroid"]), dtype=np.float32)
    for start in range(0, trials.sizes["stimulus"], step):
        inside = (wanted >= start) & (wanted < start + step)
        if inside.any():
            result[inside] = trials[start : start + step].values[wanted[inside] - start]
    return result


def _cleaned(subject: Subject, cleaning: Mapping[str, Any]) -> Subject:
    """The subject with each run of responses, and of each repeat of the test trials, detrended and z-scored as asked."""
    if not cleaning:
        return subject
    tested = np.concatenate([np.asarray(outer["test"]) for outer in subject.split["outer"]])
    runs = subject.runs or ["0"] * len(subject.ids)
    held = [runs[row] for row in tested]
    trials = np.stack([_clean(subject.trials[:, k], held, cleaning) for k in range(subject.trials.shape[1])], axis=1)
    return replace(subject, y=_clean(subject.y, runs, cleaning), trials=trials)


def _clean(y: np.ndarray, runs: list[str], cleaning: Mapping[str, Any]) -> np.ndarray:
    if drift := cleaning.get("detrend"):
        y = detrend_runs(y, runs, tr=drift["tr"], window_s=drift["window"], order=drift["order"])
    return zscore_runs(y, runs) if cleaning.get("zscore_runs") else y
