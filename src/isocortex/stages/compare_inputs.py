"""What the stage `compare` reads: a region's RDMs, those of a model's layers on the same stimuli, and halves of the repeats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray

from isocortex.errors import DataError
from isocortex.inference.blocks import N_SPLITS
from isocortex.inference.half_repeats import half_trials, repeat_halves
from isocortex.similarity.coordinates import coordinates, coordinates_of
from isocortex.similarity.rdm import ESTIMATORS, brain_rdm, rdm_from_gram, to_vector
from isocortex.storage.store import Store


@dataclass(frozen=True)
class Subject:
    """A subject of `brain.nc`, its stimulus set and the stimuli that it has."""

    name: str
    set_name: str
    stimulus_ids: tuple[str, ...]
    data: xarray.Dataset

    @property
    def seen(self) -> tuple[str, ...]:
        """What each stimulus is for any subject: its id and the digest of its picture, or its set where it has no picture.

        Two sets may call two pictures alike.
        """
        known = self.data["digest"].values if "digest" in self.data.coords else [""] * len(self.stimulus_ids)
        return tuple(f"{name}/{digest or self.set_name}" for name, digest in zip(self.stimulus_ids, known, strict=True))


@dataclass(frozen=True)
class Layers:
    """RDMs (L, N) of the layers that have one, their names, and why others have none {name: reason}."""

    names: tuple[str, ...]
    rdms: torch.Tensor
    refused: dict[str, str]


def read_subjects(tree: xarray.DataTree, options: dict[str, Any], path: str) -> list[Subject]:
    """The region's subjects that are in `brain.nc`, in the study's order; a subject without neuroids is absent there."""
    found = []
    for name, set_name in options["subjects"].items():
        if name in tree.children:
            data = tree[name].to_dataset()
            found.append(Subject(name, set_name, tuple(str(i) for i in data["stimulus_id"].values), data))
    if not found:
        raise DataError(f"{path}: found none of the subjects {list(options['subjects'])}, expected at least one; redo region")
    return found


def all_layers(
    subjects: list[Subject], stores: dict[str, Store], options: dict[str, Any], method: str, device: torch.device
) -> dict[str, Layers]:
    """The layers' RDMs on each subject's stimuli; a layer that has none for one subject is left out for all.

    `method` is that of the brain's RDM; a layer has no noise, and gets the RDM that ESTIMATORS names for it.
    """
    read: dict[tuple[str, tuple[str, ...]], Layers] = {}
    for subject in subjects:
        key = (subject.set_name, subject.stimulus_ids)
        if key not in read:
            read[key] = _read_layers(stores[subject.set_name], subject, options, ESTIMATORS[method].model, device)
    refused = {name: reason for layers in read.values() for name, reason in layers.refused.items()}
    result = {}
    for subject in subjects:
        layers = read[subject.set_name, subject.stimulus_ids]
        keep = [k for k, name in enumerate(layers.names) if name not in refused]
        if not keep:
            reason = next(iter(refused.values()), "no layer in the store")
            raise DataError(f"compare: model {options['model']!r}: no layer has an RDM: {reason}")
        result[subject.name] = Layers(tuple(layers.names[k] for k in keep), layers.rdms[keep], refused)
    return result


def each_layer(
    store: Store, subject: Subject, options: dict[str, Any], device: torch.device
) -> Iterator[tuple[str, torch.Tensor, tuple[torch.Tensor, int]]]:
    """Name, Gram matrix (n, n), and means over features (n,) with their number, of each layer on a subject's stimuli."""
    rows, groups = _places(store, subject, options)
    for group, attributes in groups:
        means = torch.as_tensor(np.asarray(store.read(group, "row_mean"))[rows], device=device)
        yield attributes["layer"], _gram(store, group, rows, device), (means, int(attributes["n_features"]))


def layer_patterns(
    store: Store, subject: Subject, options: dict[str, Any], device: torch.device
) -> Iterator[tuple[str, torch.Tensor, int]]:
    """Name, patterns (n, r ≤ n) whose inner products are the Gram matrix, and number of features, of each layer.

    The rows that a subject saw of the coordinates that the store holds; where it has none, its Gram matrix is decomposed.
    """
    rows, groups = _places(store, subject, options)
    for group, attributes in groups:
        if f"{group}/coordinates/zarr.json" in store.sidecar["files"]:
            whole = torch.as_tensor(store.read(group, "coordinates"), device=device)
            found = coordinates_of(whole, torch.as_tensor(rows, device=device))
        else:
            found = coordinates(_gram(store, group, rows, device))
        yield attributes["layer"], found, int(attributes["n_features"])


def _gram(store: Store, group: str, rows: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(np.asarray(store.read(group, "gram"))[np.ix_(rows, rows)], device=device)


def _places(store: Store, subject: Subject, options: dict[str, Any]) -> tuple[np.ndarray, list[tuple[str, dict[str, Any]]]]:
    """Rows of a subject's stimuli in a store of kernels, and the groups of the layers that are asked for."""
    place = {str(name): row for row, name in enumerate(store.sidecar["stimulus_ids"])}
    missing = [name for name in subject.stimulus_ids if name not in place]
    if missing:
        raise DataError(
            f"compare: model {options['model']!r}, set {subject.set_name!r}: lacks {len(missing)} of "
            f"{len(subject.stimulus_ids)} stimuli of subject {subject.name!r} (first: {missing[0]!r}), expected all; "
            "redo features and kernels with these stimuli"
        )
    rows = np.array([place[name] for name in subject.stimulus_ids])
    groups = {attributes["layer"]: (group, attributes) for group, attributes in sorted(store.groups.items())}
    # The study's order, not the store's: a layer added later lies behind the others there.
    return rows, [groups[name] for name in options.get("layers") or groups if name in groups]


def _read_layers(store: Store, subject: Subject, options: dict[str, Any], method: str, device: torch.device) -> Layers:
    names: list[str] = []
    found: list[torch.Tensor] = []
    refused: dict[str, str] = {}
    for name, gram, (means, n_features) in each_layer(store, subject, options, device):
        try:
            vector = rdm_from_gram(gram, means, n_features, method)
        except DataError as error:
            refused[name] = str(error)
            continue
        names.append(name)
        found.append(vector)
    rdms = torch.stack(found) if found else torch.empty((0, 0), dtype=torch.float64, device=device)
    return Layers(tuple(names), rdms, refused)


def subject_rdm(subject: Subject, settings: dict[str, Any], device: torch.device, region: str) -> torch.Tensor:
    """A subject's RDM vector (N,), or the one that was published."""
    data = subject.data
    try:
        if "rdm" in data:
            vector = to_vector(torch.as_tensor(np.asarray(data["rdm"].values, dtype=np.float64), device=device))
            if len(subject.stimulus_ids) < 3 or not bool(torch.isfinite(vector).all()):
                raise DataError("RDM: found missing values or fewer than 3 stimuli, expected a whole RDM of 3 or more")
            return vector
        patterns = torch.as_tensor(np.asarray(data["response"].values, dtype=np.float64), device=device)
        trials = subject_trials(subject)
        repeats = None if trials is None else torch.as_tensor(trials, dtype=torch.float64, device=device)
        return brain_rdm(patterns, settings["rdm"], trials=repeats, noise=settings.get("noise", "shrinkage_diag"))
    except DataError as error:
        raise DataError(f"compare: region {region!r}, subject {subject.name!r}: {error}") from None


def subject_trials(subject: Subject) -> np.ndarray | None:
    """Trials (n, R, p) of a subject, NaN for a missing repeat; None where the recording has none."""
    if "trials" not in subject.data:
        return None
    return np.asarray(subject.data["trials"].transpose("stimulus", "repeat", "neuroid").values)


def halves(subject: Subject, settings: dict[str, Any], seed: int, device: torch.device) -> torch.Tensor | None:
    """RDMs (K, 2, N) from two halves of the repeats; None where a stimulus has too few, or a half is without variance.

    Every half needs one repeat of every stimulus, and two for an RDM that is cross-validated over repeats.
    """
    trials = subject_trials(subject)
    crossed = ESTIMATORS[settings["rdm"]].needs == "trials"
    if trials is None or np.isfinite(trials).all(axis=2).sum(axis=1).min() < (4 if crossed else 2):
        return None

    def whole(values: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(values, dtype=torch.float64, device=device)

    rest = {"method": settings["rdm"], "noise": settings.get("noise", "shrinkage_diag")}
    try:
        if not crossed:
            return brain_rdm(whole(repeat_halves(trials, N_SPLITS, seed)), trials=whole(trials), **rest)
        pairs = half_trials(trials, N_SPLITS, seed)
        return torch.stack([torch.stack([brain_rdm(None, trials=whole(half), **rest) for half in pair]) for pair in pairs])
    except DataError:
        return None
