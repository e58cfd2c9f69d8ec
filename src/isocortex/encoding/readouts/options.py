"""Options of readouts, checked: those of a study, from a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from isocortex.errors import DataError
from isocortex.study.options.base import Options

Kind = TypeVar("Kind", bound=Options)


def checked(kind: type[Kind], options: Mapping[str, Any] | Kind | None) -> Kind:
    """`options` as `kind`. Raises `DataError` for an unknown name or a value out of range."""
    if isinstance(options, kind):
        return options
    name, given = kind.__name__.lower(), dict(options or {})
    unknown = sorted(set(given) - set(kind.model_fields))
    if unknown:
        raise DataError(f"readout {name}: found option {unknown[0]!r}, expected some of {sorted(kind.model_fields)}")
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise DataError(f"readout {name}: {key}, found {first['input']!r}: {first['msg'].lower()}") from None
