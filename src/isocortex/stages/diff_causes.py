"""Why two results differ, from the files beside the tables: recordings, splits, features, and Snakemake's records of jobs."""

from __future__ import annotations

import ast
import base64
import binascii
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from isocortex.inference.difference import Cause, only_in_one, shown, some
from isocortex.storage.atomic import digest_file, read_json
from isocortex.storage.tables import open_tree

RECORDS = Path(".snakemake/metadata")
# Stages with an output of their own, which no score comes from.
BESIDE = frozenset({"report", "identify_models", "searchlight", "shapes", "window"})
NAMES = frozenset({"study", "region"})  # options that only name a job
MEASURED = {"response": "responses", "rdm": "RDMs", "trials": "single trials"}
LABELS = {"stimulus_id": "ids of stimuli", "digest": "contents of stimuli", "neuroid_id": "ids of neuroids"}
BLOCK = 2**23  # values of an array that are compared at a time
LONG = 60  # characters of a value that a line shows


@dataclass(frozen=True)
class Record:
    """What Snakemake keeps of a job: its options, the shared inputs that it read, and the digest of its code."""

    stage: str
    options: Mapping[str, Any]
    shared: Mapping[str, str]
    code: str | None


def brain_causes(first: Path, second: Path) -> list[Cause]:
    """What differs between two `brain.nc`: subjects, sizes, ids, stimuli and what was measured; [] where nothing does."""
    if not (first.is_file() and second.is_file()):
        return [Cause("data", "unknown (brain.nc is missing in one or both)", known=False)]
    if first.stat().st_size == second.stat().st_size and digest_file(first) == digest_file(second):
        return []
    found: dict[str, list[str]] = defaultdict(list)
    with open_tree(first) as one, open_tree(second) as other:
        gone, new = only_in_one(map(str, one.children), map(str, other.children))
        for subject in sorted(set(map(str, one.children)) - set(gone)):
            for text in _recorded(one.children[subject].to_dataset(), other.children[subject].to_dataset()):
                found[text].append(subject)
    lines = [f"subjects only {when}: {some(names)}" for when, names in (("before", gone), ("after", new)) if names]
    return [Cause("data", text) for text in (*lines, *(f"{text} ({some(names)})" for text, names in found.items()))]


def _recorded(before: xarray.Dataset, after: xarray.Dataset) -> Iterator[str]:
    """Sizes that differ; where none do, labels and measurements that do."""
    dimensions = sorted({str(name) for one in (before, after) for name in one.sizes})
    sizes = [(name, before.sizes.get(name, 0), after.sizes.get(name, 0)) for name in dimensions]
    if different := [f"{name} {old} -> {new}" for name, old, new in sizes if old != new]:
        yield "recorded: " + ", ".join(different)
        return
    for name, label in {**LABELS, **MEASURED}.items():
        there = [name in one.variables for one in (before, after)]
        if any(there) and not (all(there) and _equal(before[name], after[name])):
            yield f"{label} differ"


def _equal(before: xarray.DataArray, after: xarray.DataArray) -> bool:
    """Whether two arrays of the same sizes hold the same; they are read by blocks of their first axis."""
    after = after.transpose(*before.dims)
    axis, rows = before.dims[0], before.shape[0]
    step = max(1, BLOCK * rows // max(1, before.size))
    floats = before.dtype.kind == "f" and after.dtype.kind == "f"
    blocks = ({axis: slice(start, start + step)} for start in range(0, rows, step))
    return all(np.array_equal(before[block].to_numpy(), after[block].to_numpy(), equal_nan=floats) for block in blocks)


def store_causes(first: Path, second: Path) -> list[Cause]:
    """What differs between the splits, and the models' features and kernels, of two studies; only what both have."""
    splits = [name for name, old, new in _both(first, second, "splits/*.json") if old.get("digest") != new.get("digest")]
    causes = [Cause("data", f"splits differ ({some(splits)})")] if splits else []
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, old, new in _both(first, second, "kernels/*/*.json"):
        if old.get("digest") != new.get("digest"):
            found[_kernels(old, new)].append(name)
    return causes + [Cause(kind, f"{text} ({some(names)})") for (kind, text), names in found.items()]


def _kernels(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, str]:
    """The kind of cause and the words for kernels whose digests differ."""
    before, after = old.get("recipe", {}), new.get("recipe", {})
    if before.get("features") != after.get("features"):
        return "data", "features of models differ"
    if before.get("layers") != after.get("layers"):
        return "options", "layers of models differ"
    if before == after:
        return "code", "kernels differ although their recipe is the same: other code, libraries or machine"
    return "options", "kernels have another recipe"


def _both(first: Path, second: Path, pattern: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for path in sorted(first.glob(pattern)):
        name = path.relative_to(first)
        if (second / name).is_file():
            old, new = read_json(path), read_json(second / name)
            yield name.with_suffix("").as_posix().split("/", 1)[1], old, new


def read_records(folder: Path) -> dict[str, Record]:
    """Snakemake's records of the jobs whose output lies in a study's folder, by the output's path in it; {} without any.

    Records are those of the nearest folder above that has any. A job of several outputs is there once.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 (a link is not followed: records have its name)
    home = next((parent for parent in folder.parents if (parent / RECORDS).is_dir()), None)
    if home is None:
        return {}
    prefix = folder.relative_to(home).as_posix() + "/"
    found: dict[str, Record] = {}
    for path in sorted((home / RECORDS).rglob("*")):
        output = _output(path.relative_to(home / RECORDS)) if path.is_file() else ""
        if output.startswith(prefix) and (record := _record(path, output)) is not None:
            found[output.removeprefix(prefix)] = record
    return found


def _output(name: Path) -> str:
    """The output that a record is of: its name in base64, in folders whose names start with @ where it is long."""
    try:
        return base64.urlsafe_b64decode("".join(part.removeprefix("@") for part in name.parts)).decode()
    except (binascii.Error, ValueError):
        return ""


def _record(path: Path, output: str) -> Record | None:
    """None for a record that is broken, of an unfinished job, or not of a job of ours, and for all outputs but one."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        params = [ast.literal_eval(text) for text in held["params"]]
        specs = [json.loads(text) for text in params if isinstance(text, str) and text.startswith("{")]
    except (OSError, ValueError, SyntaxError, KeyError, TypeError):
        return None
    if held.get("incomplete") or len(specs) != 1 or not {"stage", "output", "options"} <= set(specs[0]):
        return None
    spec = specs[0]
    if output != min(str(value) for _, value in _leaves({"output": spec["output"]})):
        return None
    code = [text for text in params if isinstance(text, str) and not text.startswith("{")]
    inputs = {name: str(value) for name, value in _leaves(spec.get("inputs", {})) if "~" in str(value)}
    shared = {name: "/".join(value.split("/")[-2:]) for name, value in inputs.items()}
    return Record(spec["stage"], spec["options"], shared, code[0] if len(code) == 1 else None)


def record_causes(before: Mapping[str, Record], after: Mapping[str, Record], under: str = "") -> list[Cause]:
    """Options and code that differ between the jobs of two studies whose output lies in the folder `under`.

    Where there is no record of a job in both, what the code was is unknown.
    """
    options: dict[str, set[str]] = defaultdict(set)
    code: set[str] = set()
    common = [name for name in before if name in after and name.startswith(under) and before[name].stage not in BESIDE]
    for old, new in ((before[name], after[name]) for name in common):
        if old.code and new.code and old.code != new.code:
            code.add(old.stage)
        for text in _different({**old.options, "input": old.shared}, {**new.options, "input": new.shared}):
            options[text].add(old.stage)
    causes = [Cause(_kind(text), f"{text} ({some(sorted(stages))})") for text, stages in options.items()]
    if code:
        causes.append(Cause("code", f"of {some(sorted(code), 8)}"))
    if not common:
        text = "unknown (Snakemake has no record of the same job in both working directories)"
        causes.append(Cause("code", text, known=False))
    return causes


def _kind(text: str) -> str:
    """A stage's `recipe` is raised by hand where its code changes what it writes."""
    return "code" if text.startswith("recipe ") else "options"


def _different(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = dict(_leaves(before)), dict(_leaves(after))
    for name in sorted({*old, *new}):
        if name.split(".")[0] not in NAMES and old.get(name) != new.get(name):
            yield f"{name} {_short(old.get(name))} -> {_short(new.get(name))}"


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Values of nested mappings, with their keys joined by dots; lists are values."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif name:
        yield name, value


def _short(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= LONG else f"{text[:LONG]}..."
