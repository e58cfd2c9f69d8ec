"""What the numbers stand on: versions, digests, seeds, options, and the line that redoes them."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from isocortex.errors import StoreError
from isocortex.reporting.region import Region
from isocortex.storage.atomic import digest_file

# A fixed list: what touches a number, in the order of a methods section.
PACKAGES = (
    "isocortex",
    "numpy",
    "scipy",
    "torch",
    "scikit-learn",
    "xarray",
    "pandas",
    "h5netcdf",
    "zarr",
    "nilearn",
    "snakemake",
    "matplotlib",
)


def versions() -> list[tuple[str, str]]:
    """Python's version and those of the listed packages, absent ones said."""
    found = [("python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, "not installed"))
    return found


def digests(inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Path and first twelve digits of the SHA-256 of every file a job reads."""
    paths = sorted({path for value in inputs.values() for path in (value.values() if isinstance(value, Mapping) else [value])})
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise StoreError(
            f"{missing[0]}: missing; make it with: snakemake -- {missing[0]} (with the --configfile of your study)"
        )
    return [(path, digest_file(path)[:12]) for path in paths]


# What the job says of itself, in the order it is read.
_NAMES = {
    "title": "study",
    "study": "study id",
    "dataset_label": "data set",
    "citation": "citation",
    "licence": "licence",
    "region": "region",
    "level": "level of the recording",
    "primary": "primary method",
    "splits": "splits",
    "inference": "inference",
    "joint": "joint encoders",
    "cores": "response-optimised cores",
}
_COLUMNS = {
    "seed": "seeds used",
    "generalise": "generalises to",
    "null_kind": "null",
    "n_null": "null draws",
    "ci_kind": "intervals",
}


def settings(region: Region) -> list[tuple[str, str]]:
    """The options of the job as pairs of text, and what the rows say of seeds, nulls and intervals."""
    options = region.options
    said = [(name, _text(options[key])) for key, name in _NAMES.items() if options.get(key)]
    said += [(f"{group}", _text(value)) for group, value in (options.get("methods") or {}).items() if value]
    said += [(f"model {name}", _text(value)) for name, value in (options.get("models") or {}).items()]
    if near := _near(region):
        said.append(("nearly equal pictures", near))
    for column, name in _COLUMNS.items():
        values = sorted({str(row[column]) for row in region.chosen if row.get(column) not in (None, "")})
        if values:
            said.append((name, ", ".join(values)))
    return said


def _near(region: Region) -> str:
    """How many stimuli of each set show nearly the same picture as another, and whether these share a fold; "" for none."""
    tables = {name: table for name, table in region.stimuli.items() if "near" in table}
    counts = {name: sum(bool(first) for first in table["near"].tolist()) for name, table in tables.items()}
    share = (region.options.get("splits") or {}).get("near_duplicates", True)
    said = [f"{count} of {len(region.stimuli[name])} stimuli of {name}" for name, count in counts.items() if count]
    fold = "which share a fold with the other" if share else "which are divided like others"
    return f"{'; '.join(said)}, {fold}" if said else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
