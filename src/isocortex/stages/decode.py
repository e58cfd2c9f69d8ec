"""Stage `decode`: labels of stimuli from a region's responses, or from a model's layers on the stimuli of its subjects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas
import torch
import xarray

from isocortex.compute import resolve_device
from isocortex.digests import digest_json
from isocortex.encoding.decoding import Kernel, kernel_of_features, kernel_of_gram
from isocortex.encoding.label_folds import Labelled, labelled
from isocortex.errors import DataError
from isocortex.inference.decoding import Judged, Plan, judge
from isocortex.inference.decoding_cells import Context, Decoder, build_cell
from isocortex.recordings.stimuli import COLUMNS
from isocortex.storage.store import Store
from isocortex.storage.tables import read_parquet, read_tree, write_netcdf

RAW = "kernel of raw features, centred on the training stimuli, not z-scored"
# Columns, or what the recording says, that part stretches of time where a decoder names none.
STRETCHES = ("session", "run")


@dataclass(frozen=True)
class _Subject:
    """A subject's part of the region, and the table of its stimulus set by stimulus."""

    name: str
    set_name: str
    data: xarray.Dataset
    table: pandas.DataFrame


@dataclass(frozen=True)
class _Task:
    """One subject's stimuli for one decoder: labels in the order of presentation, where they stand in `brain.nc`, how many have
    no label."""

    data: Labelled
    rows: np.ndarray
    unlabelled: int

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for subjects to whom a model says the same."""
        return tuple(self.data.ids), self.data.labels.tobytes(), self.data.units.tobytes()


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write `decoding.nc`: rows, draws, layer profiles and confusions of every decoder."""
    options, inputs = spec["options"], spec["inputs"]
    where = resolve_device(device)
    subjects = _subjects(inputs, options)
    stores = {name: Store(path) for name, path in (inputs.get("kernels") or {}).items()}
    source = _Source(stores, _layers(stores, options.get("layers")), options["model"], where)
    results: dict[str, dict[str, Judged]] = {}
    notes: dict[str, dict[str, list[str]]] = {}
    decoders: dict[str, Decoder] = {}
    for name, given in options["decoders"].items():
        plan = _plan(given, options)
        place = f"decoder {name}, region {options['region']!r}"
        tasks = {subject.name: _task(subject, given, f"{place}, subject {subject.name!r}") for subject in subjects}
        results[name] = _judged(subjects, tasks, plan, source, place)
        notes[name] = {key: _notes(task, bool(stores)) for key, task in tasks.items()}
        recipe = {**given, "folds_number": options["folds"], "fold_seed": options["fold_seed"]}
        decoders[name] = Decoder(given["target"], given["classifier"], given["folds"], digest_json(recipe)[:8])
    write_netcdf(build_cell(results, decoders, _context(subjects, source.layers, notes, options)), spec["output"])


def _subjects(inputs: dict[str, Any], options: dict[str, Any]) -> list[_Subject]:
    tree = read_tree(inputs["brain"])
    tables = {name: read_parquet(path).set_index("stimulus_id", drop=False) for name, path in inputs["stimuli"].items()}
    found = [
        _Subject(name, set_name, tree[name].to_dataset(), tables[set_name])
        for name, set_name in options["subjects"].items()
        if name in tree.children
    ]
    if not found:
        raise DataError(f"{inputs['brain']}: found none of the subjects {list(options['subjects'])}, expected one; redo region")
    if any("response" not in subject.data for subject in found):
        raise DataError(f"{inputs['brain']}: found no responses, expected level: patterns; leave decode out")
    return found


def _plan(given: dict[str, Any], options: dict[str, Any]) -> Plan:
    inference = options["inference"]
    asked, penalty = inference.get("permutations", "auto"), given.get("penalty", "auto")
    return Plan(
        classifier=given["classifier"],
        kind=given["folds"],
        folds=int(options["folds"]),
        penalties=None if penalty == "auto" else tuple(penalty),
        fold_seed=int(options["fold_seed"]),
        seed=int(inference.get("seed", 0)),
        draws=int(inference.get("draws", 1000)),
        permutations=None if asked == "auto" else int(asked),
    )


def _task(subject: _Subject, given: dict[str, Any], where: str) -> _Task:
    """Stimuli with a label in the order of their first presentation (without it, in that of the table), stretches of time one
    after the other."""
    ids = [str(name) for name in subject.data["stimulus_id"].to_numpy()]
    lost = [name for name in ids if name not in subject.table.index]
    if lost:
        raise DataError(
            f"{where}: found {len(lost)} stimuli that the stimulus table lacks (first {lost[0]!r}), expected all; redo stimuli"
        )
    table = subject.table.loc[ids]
    labels = _texts(_column(table, given["target"], "target", where))
    keys = _keys(subject, table, given, where)
    rows = np.arange(len(ids))
    if given["folds"] == "blocked":
        if "first_shown" in subject.data:
            rows = np.argsort(subject.data["first_shown"].to_numpy(), kind="stable")
        place = {key: number for number, key in enumerate(dict.fromkeys(keys[row] for row in rows))}
        rows = rows[np.argsort([place[keys[row]] for row in rows], kind="stable")]
    rows = np.array([row for row in rows if labels[row]], dtype=np.int64)
    data = labelled([ids[row] for row in rows], [labels[row] for row in rows], [keys[row] for row in rows])
    return _Task(data, rows, len(ids) - len(rows))


def _keys(subject: _Subject, table: pandas.DataFrame, given: dict[str, Any], where: str) -> list[str]:
    """What is never divided: copies of one picture, the values of `groups`, or stretches of time."""
    if given.get("groups"):
        named = _texts(_column(table, given["groups"], "groups", where))
        return [f"time/{key}" for key in named] if given["folds"] == "blocked" else named
    if given["folds"] != "blocked":
        return _texts(table["digest"]) if "digest" in table else [""] * len(table)
    named = [_texts(table[name]) for name in STRETCHES if name in table]
    named = named or [subject.data[name].to_numpy().astype(str).tolist() for name in STRETCHES if name in subject.data]
    return ["/".join(("time", *parts)) for parts in zip(*named, strict=True)] if named else ["time"] * len(table)


def _column(table: pandas.DataFrame, name: str, key: str, where: str) -> Any:
    known = [str(column) for column in table.columns if column not in COLUMNS]
    if name not in known:
        raise DataError(
            f"{where}: {key}, found no column {name!r} in the stimulus table, expected one of {known}; name one of these"
        )
    return table[name]


def _texts(column: Iterable[Any]) -> list[str]:
    """Labels as text, the same for 1 and 1.0; empty where missing."""
    return ["" if pandas.isna(v) else str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in column]


@dataclass(frozen=True)
class _Source:
    """What is decoded: the region itself (no stores), or the layers of a model by stimulus set."""

    stores: dict[str, Store]
    layers: list[str]
    model: str
    device: torch.device

    def kernels(self, subject: _Subject, task: _Task) -> list[Kernel]:
        """A kernel per layer, on the task's stimuli."""
        if not self.stores:
            responses = subject.data["response"].transpose("stimulus", "neuroid").to_numpy()[task.rows]
            return [kernel_of_features(responses.astype(np.float64), self.device)]
        store = self.stores[subject.set_name]
        place = {str(name): row for row, name in enumerate(store.sidecar["stimulus_ids"])}
        missing = [name for name in task.data.ids if name not in place]
        if missing:
            raise DataError(
                f"{store.path}: model {self.model!r} lacks {len(missing)} stimuli (first {missing[0]!r}), expected all; "
                "redo features and kernels"
            )
        rows = np.array([place[name] for name in task.data.ids])
        groups = {attributes["layer"]: group for group, attributes in store.groups.items()}
        return [
            kernel_of_gram(
                np.asarray(store.read(groups[layer], "gram"))[np.ix_(rows, rows)],
                int(store.groups[groups[layer]]["n_features"]),
                self.device,
            )
            for layer in self.layers
        ]


def _layers(stores: dict[str, Store], wanted: list[str] | None) -> list[str]:
    """Layers in the study's order, which every stimulus set has; "" for the region itself."""
    if not stores:
        return [""]
    found = [[attributes["layer"] for _, attributes in sorted(store.groups.items())] for store in stores.values()]
    for store, names in zip(stores.values(), found, strict=True):
        missing = [name for name in wanted or found[0] if name not in names]
        if missing:
            raise DataError(f"{store.path}: found no layer {missing[0]!r}, expected one of {names}; redo kernels")
    return list(wanted or found[0])


def _judged(subjects: list[_Subject], tasks: dict[str, _Task], plan: Plan, source: _Source, where: str) -> dict[str, Judged]:
    """Results by subject; a model is asked once for all subjects that saw the same."""
    found: dict[str, Judged] = {}
    seen: dict[Any, Judged] = {}
    for subject in subjects:
        task = tasks[subject.name]
        key = (subject.set_name, task.key) if source.stores else subject.name
        if key not in seen:
            of_model = f", model {source.model!r}" if source.stores else ""
            seen[key] = judge(source.kernels(subject, task), task.data, plan, f"{where}, subject {subject.name!r}{of_model}")
        found[subject.name] = seen[key]
    return found


def _notes(task: _Task, of_model: bool) -> list[str]:
    notes = [RAW] if of_model else []
    if task.unlabelled:
        notes.append(f"{task.unlabelled} of {task.unlabelled + len(task.rows)} stimuli have no label and are left out")
    return notes


def _context(
    subjects: list[_Subject], layers: list[str], notes: dict[str, dict[str, list[str]]], options: dict[str, Any]
) -> Context:
    """What rows share; neuroids, repeats and drops are a region's, not a model's."""
    counts: dict[str, dict[str, Any]] = {}
    if not options["model"]:
        counts = {subject.name: _counts([subject]) for subject in subjects}
        counts["all"] = _counts(subjects)
    inference = options["inference"]
    return Context(
        key={name: options[name] for name in ("dataset", "region", "model")},
        layers=layers,
        contaminated=list(options.get("contaminated", ())),
        seed=int(inference.get("seed", 0)),
        confidence=float(inference.get("confidence", 0.95)),
        counts=counts,
        notes=notes,
    )


def _counts(subjects: list[_Subject]) -> dict[str, Any]:
    return {
        "n_neuroids": sum(subject.data.sizes["neuroid"] for subject in subjects),
        "n_repeats": max(int(subject.data["n_repeats"].max()) for subject in subjects),
        "n_dropped": sum(int(subject.data.attrs.get("n_dropped", 0)) for subject in subjects),
    }
