"""What the stages that describe representations have in common: labels, draws, and why a descriptor has no value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas

from isocortex.errors import DataError
from isocortex.geometry.descriptor import Descriptor
from isocortex.inference.descriptions import Plan, Representation
from isocortex.stages.stimulus_labels import labels_of
from isocortex.storage.tables import read_parquet


def tables_of(inputs: Mapping[str, Any]) -> dict[str, pandas.DataFrame]:
    """The stimulus tables of a job by set, by stimulus; none where no label is asked for."""
    found = inputs.get("stimuli") or {}
    return {name: read_parquet(path).set_index("stimulus_id", drop=False) for name, path in found.items()}


def plan_of(inference: Mapping[str, Any]) -> Plan:
    """Draws, permutations and seed of a job."""
    asked = inference.get("permutations", "auto")
    permutations = None if asked == "auto" else int(asked)
    return Plan(int(inference.get("draws", 1000)), permutations, int(inference.get("seed", 0)))


def reasons(lost: Mapping[str, str]) -> str:
    """Why a descriptor has no value, with the names it is about where they differ."""
    if len(set(lost.values())) == 1:
        return next(iter(lost.values()))
    return "; ".join(f"{name}: {reason}" for name, reason in lost.items())


def reason_of(error: DataError, descriptor: Descriptor) -> str:
    """What an error says, without what the page says beside it."""
    return str(error).removeprefix("geometry: ").removeprefix(f"{descriptor.name}: ")


def with_labels(
    descriptor: Descriptor, given: Representation, asked: Mapping[str, Any], table: pandas.DataFrame | None, where: str
) -> Representation:
    """The representation with the labels of the column that a descriptor is asked to take, if it takes any."""
    target = asked.get("target")
    if descriptor.needs != "labels" or table is None or target is None:
        return given
    labels = labels_of(table, given.ids, str(target), where)
    return Representation(given.ids, given.patterns, given.trials, labels)
