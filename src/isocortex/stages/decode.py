"""Stage `decode`: labels of stimuli from a region's responses, or from a model's layers on the stimuli of its subjects.

What is labelled is a stimulus, by its averaged response, or, of a region only, each presentation by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import resolve_device
from isocortex.digests import digest_json
from isocortex.encoding.decoding import Kernel, kernel_of_features, kernel_of_gram
from isocortex.errors import DataError
from isocortex.inference.decoding import Judged, Plan, judge
from isocortex.inference.decoding_cells import Context, Decoder, build_cell
from isocortex.stages.decode_tasks import TASKS, Subject, Task
from isocortex.storage.store import Store
from isocortex.storage.tables import read_parquet, read_tree, write_netcdf

PRESENTATIONS = "single presentations: n_stimuli counts these"
REPEATED = "repeats of one stimulus are in training and test: nothing is said of other stimuli"
INFLATED = (
    "folds: {folds} put neighbouring presentations into training and test, which share slow drift and often their label: "
    "the score may be too high; compare with folds: blocked"
)
RAW = "kernel of raw features, centred on the training stimuli, not z-scored"


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
        make = TASKS[given.get("unit", "stimulus")]
        tasks = {subject.name: make(subject, given, f"{place}, subject {subject.name!r}") for subject in subjects}
        results[name] = _judged(subjects, tasks, plan, source, place)
        notes[name] = {key: _notes(task, given["folds"], bool(stores)) for key, task in tasks.items()}
        recipe = {**given, "folds_number": options["folds"], "fold_seed": options["fold_seed"]}
        decoders[name] = Decoder(given["target"], given["classifier"], given["folds"], digest_json(recipe)[:8])
    write_netcdf(build_cell(results, decoders, _context(subjects, source.layers, notes, options)), spec["output"])


def _subjects(inputs: dict[str, Any], options: dict[str, Any]) -> list[Subject]:
    tree = read_tree(inputs["brain"])
    tables = {name: read_parquet(path).set_index("stimulus_id", drop=False) for name, path in inputs["stimuli"].items()}
    found = [
        Subject(name, set_name, tree[name].to_dataset(), tables[set_name])
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


@dataclass(frozen=True)
class _Source:
    """What is decoded: the region itself (no stores), or the layers of a model by stimulus set."""

    stores: dict[str, Store]
    layers: list[str]
    model: str
    device: torch.device

    def kernels(self, subject: Subject, task: Task) -> list[Kernel]:
        """A kernel per layer, on the task's stimuli."""
        if not self.stores:
            responses = _responses(subject, task)
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


def _responses(subject: Subject, task: Task) -> np.ndarray:
    """Averaged responses, or those of single presentations (n, neuroids)."""
    if task.repeats is None:
        return np.asarray(subject.data["response"].transpose("stimulus", "neuroid").to_numpy()[task.rows])
    trials = subject.data["trials"].transpose("stimulus", "repeat", "neuroid").to_numpy()
    return np.asarray(trials[task.rows, task.repeats])


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


def _judged(subjects: list[Subject], tasks: dict[str, Task], plan: Plan, source: _Source, where: str) -> dict[str, Judged]:
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


def _notes(task: Task, folds: str, of_model: bool) -> list[str]:
    notes = [RAW] if of_model else []
    what = "stimuli"
    if task.repeats is not None:
        what = "presentations"
        notes.append(PRESENTATIONS)
        notes.append(REPEATED if folds == "blocked" else INFLATED.format(folds=folds))
    if task.partial:
        notes.append(f"{task.partial} presentations lack a value in some neuroid and are left out")
    if task.unlabelled:
        notes.append(f"{task.unlabelled} of {task.unlabelled + len(task.rows)} {what} have no label and are left out")
    return notes


def _context(
    subjects: list[Subject], layers: list[str], notes: dict[str, dict[str, list[str]]], options: dict[str, Any]
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


def _counts(subjects: list[Subject]) -> dict[str, Any]:
    return {
        "n_neuroids": sum(subject.data.sizes["neuroid"] for subject in subjects),
        "n_repeats": max(int(subject.data["n_repeats"].max()) for subject in subjects),
        "n_dropped": sum(int(subject.data.attrs.get("n_dropped", 0)) for subject in subjects),
    }
