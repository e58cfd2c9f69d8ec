"""The catalogue of data sets, and YAML read so that a mistake cannot hide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from isocortex.errors import StudyError
from isocortex.study import options as opt
from isocortex.study.adapters import ADAPTERS, GIVE_RDMS
from isocortex.study.datasets import Dataset
from isocortex.study.explain import parse, unknown
from isocortex.study.identifiers import check_id


class _Loader(yaml.SafeLoader):
    """YAML in which a key written twice is an error, not the last one's silent victory."""


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    """A mapping; keys that a merge (`<<`) brings in may be said again, keys that a person wrote may not."""
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, str) and key in seen and not getattr(node, "merged", False):
            raise StudyError(f"line {key_node.start_mark.line + 1}: key {key!r} stands twice in one mapping; remove one")
        if isinstance(key, str):
            seen.add(key)
    node.merged = True  # type: ignore[attr-defined]  # merging writes the other mapping's keys into the node
    return yaml.SafeLoader.construct_mapping(loader, node, deep=deep)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file; a `StudyError` of one line where it is missing or not YAML."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file; give the path of a study's YAML, as config/config.yaml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not readable ({error})") from None
    try:
        return yaml.load(text, Loader=_Loader)
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise StudyError(f"{path}{where}: not valid YAML ({getattr(error, 'problem', error)})") from None


def catalogue_at_hand() -> Path:
    """The catalogue of one's own in the working directory, or else the one beside the package's source."""
    own, shipped = Path("config/catalogue"), Path(__file__).resolve().parents[3] / "config" / "catalogue"
    return shipped if shipped.is_dir() and not own.exists() else own


def dataset_of(options: opt.StudyOptions, catalogue: str | Path | None) -> tuple[str, Dataset, dict[str, Any]]:
    """Name, validated entry, and plain mapping (defaults filled) of the study's data set."""
    if isinstance(options.dataset, str):
        name = options.dataset
        raw, file = _entry(name, catalogue_at_hand() if catalogue is None else Path(catalogue))
        where = f"{file}: {name}"
    else:
        raw, where = options.dataset, "dataset"
        name = raw.get("name", options.study)
    try:
        check_id(name, "dataset")
    except ValueError as error:
        raise StudyError(f"dataset.name: {error}") from None
    dataset = parse(Dataset, {**raw, "name": name}, where)
    for part in ("stimuli", "subjects", "regions"):
        if not getattr(dataset, part):
            raise StudyError(
                f"{where}.{part}: missing; a data set that lists only files cannot be analysed: describe its stimuli, subjects "
                "and regions as config/studies/objects81.yaml does"
            )
    entry = dataset.model_dump()
    entry["subjects"] = {subject: _subject(dataset, subject, raw, where) for subject in dataset.subjects}
    entry["regions"] = {region: value or {} for region, value in entry["regions"].items()}
    return name, dataset, entry


def _entry(name: str, catalogue: Path) -> tuple[dict[str, Any], Path]:
    """A data set's entry, and the file that has it: `<catalogue>/<name>.yaml`, whose one key is the name."""
    file = catalogue / f"{name}.yaml"
    known = sorted(other.stem for other in catalogue.glob("*.yaml"))
    if name not in known:
        raise unknown("dataset", name, known, "data set of the catalogue")
    entries = read_yaml(file)
    if not isinstance(entries, dict) or not isinstance(entries.get(name), dict):
        raise StudyError(f"{file}: found no mapping {name!r}, expected it as the file's one key; correct the file")
    return entries[name], file


def _subject(dataset: Dataset, subject: str, raw: dict[str, Any], where: str) -> dict[str, Any]:
    """A subject's entry, validated by its adapter's own options."""
    value = raw["subjects"][subject]
    path = f"{where}.subjects.{subject}"
    adapter = value.get("adapter")
    if adapter not in ADAPTERS:
        raise unknown(f"{path}.adapter", adapter, ADAPTERS, "adapter")
    parsed = parse(ADAPTERS[adapter], value, path).model_dump()
    if parsed["stimuli"] not in dataset.stimuli:
        raise unknown(f"{path}.stimuli", parsed["stimuli"], dataset.stimuli, "stimulus set")
    if (adapter in GIVE_RDMS) != (dataset.level == "rdm"):
        raise StudyError(
            f"{path}.adapter: found {adapter!r} in a data set of level {dataset.level!r}; rdm goes with level: rdm, as do "
            "triplets and judgements"
        )
    return parsed
