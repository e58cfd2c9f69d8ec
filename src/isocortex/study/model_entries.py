"""Entries of models in full: twins expanded, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isocortex.errors import StudyError
from isocortex.study import options as opt
from isocortex.study.explain import parse, unknown


def model_entry(name: str, entries: Mapping[str, Any], seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """One model's entry in full; an untrained twin takes all that it does not say from the model it is like.

    Raises `StudyError` for an unknown model or source, a twin of a model without weights, and options that do not fit.
    """
    entry, where = entries[name], f"models.{name}"
    if "like" in entry:
        other = entry["like"]
        if other not in entries or other == name or other in seen:
            raise unknown(f"{where}.like", other, [n for n in entries if n != name and n not in seen], "model")
        base = model_entry(other, entries, (*seen, name))
        if base["source"] not in opt.SOURCES_WITH_WEIGHTS:
            raise StudyError(
                f"{where}.like: {other!r} is of source {base['source']!r}, which has no weights, so it has no twin; "
                f"expected a model of source {' or '.join(opt.SOURCES_WITH_WEIGHTS)}"
            )
        keep = {key: value for key, value in base.items() if key not in ("label", "trained_on")}
        if keep.get("transforms", "") is None and keep["weights"] not in (None, "random"):
            keep["transforms"] = keep["weights"]  # the twin sees images as the trained network does
        entry = {**keep, **{key: value for key, value in entry.items() if key != "like"}}
    source = entry.get("source")
    if source is None:
        raise StudyError(f"{where}: missing source; expected one of {', '.join(opt.SOURCES)}, or like: another model")
    if source not in opt.SOURCES:
        raise unknown(f"{where}.source", source, opt.SOURCES, "source")
    parsed = parse(opt.SOURCES[source], entry, where).model_dump()
    return parsed | ({"name": name} if parsed.get("name", "") is None else {})
