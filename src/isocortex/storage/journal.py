"""The journal beside a store: its recipe and rows in the first line, then a line per file that is whole, or array dropped.

A file's line is written after the file, and an array's `dropped` before it goes: whenever a job is killed, what the journal
calls whole is whole. Lines with `computed` and `seconds` say how long rows took, for plans.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def journal_path(directory: Path) -> Path:
    """A journal lies beside its store: inside, Zarr would take it for a stray."""
    return directory.with_suffix(".journal")


def note(directory: Path, line: Mapping[str, Any]) -> None:
    """Add one line."""
    with open(journal_path(directory), "a", encoding="utf-8") as journal:
        journal.write(json.dumps(line) + "\n")


def discard(directory: Path) -> None:
    """Remove a store and its journal, the journal first: a store without one is nobody's."""
    journal_path(directory).unlink(missing_ok=True)
    shutil.rmtree(directory, ignore_errors=True)


def read_journal(directory: Path) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """The first line (None where there is no store) and the checksums of whole files; a torn line is left out."""
    try:
        lines = journal_path(directory).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None, {}
    if not directory.is_dir():
        return None, {}
    parsed: list[dict[str, Any]] = []
    for line in lines:
        try:
            parsed.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    if not parsed or "recipe" not in parsed[0]:
        return None, {}
    whole: dict[str, str] = {}
    for line in parsed[1:]:
        if "dropped" in line:
            whole = without(whole, line["dropped"])
        elif "file" in line:
            whole[line["file"]] = line["sha256"]
    return parsed[0], whole


def without(whole: Mapping[str, str], array: str) -> dict[str, str]:
    """Checksums of the files that are not of `array` ('000/activation')."""
    return {file: sha256 for file, sha256 in whole.items() if not file.startswith(f"{array}/")}
