"""Validation errors in one line: which key, what was found, what is allowed, and the nearest match."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from isocortex.errors import StudyError

T = TypeVar("T", bound=BaseModel)

# Parts that pydantic puts into the location of an error for the branches of a union: not keys that a person wrote.
_BRANCHES = ("constrained-", "function-", "literal[", "list[", "dict[", "is-instance", "Region", "union", "nullable")


def nearest(word: str, allowed: Iterable[str]) -> str:
    """'; did you mean …?' or nothing."""
    match = difflib.get_close_matches(word.lower(), [name.lower() for name in allowed], n=1, cutoff=0.6)
    original = next((name for name in allowed if match and name.lower() == match[0]), None)
    return f"; did you mean {original!r}?" if original else ""


def unknown(where: str, found: object, allowed: Iterable[str], kind: str = "") -> StudyError:
    """The error for a name that is not among those allowed."""
    allowed = list(allowed)
    shown = ", ".join(allowed[:30]) + (f", … ({len(allowed)} in all)" if len(allowed) > 30 else "")
    return StudyError(
        f"{where}: unknown {kind or 'key'} {found!r}; expected one of {shown or '(none)'}{nearest(str(found), allowed)}"
    )


def parse(model: type[T], value: Any, where: str) -> T:
    """`value` as `model`; a `StudyError` of one line where it does not fit."""
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise StudyError(f"{where}: found {_show(value)}, expected a mapping of keys to values")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _explain(model, error, where) from None


def _explain(model: type[BaseModel], error: ValidationError, where: str) -> StudyError:
    errors = error.errors(include_url=False)
    # An unknown key is told first: it is most often the cause of what else is missing.
    problem = next((item for item in errors if item["type"] == "extra_forbidden"), errors[0])
    keys = [
        key
        for key in problem["loc"]
        if not (isinstance(key, str) and (key.startswith(_BRANCHES) or ("-" in key and "[" in key)))
    ]
    keys = [key for key in keys if key not in ("int", "float", "str", "[key]")]
    path = ".".join([where, *map(str, keys)]) if where else ".".join(map(str, keys))
    if problem["type"] == "extra_forbidden":
        owner = _model_at(model, keys[:-1])
        allowed = list(owner.model_fields) if owner else []
        parent = ".".join([part for part in [where, *map(str, keys[:-1])] if part]) or "the study"
        return unknown(parent, keys[-1], allowed)
    if problem["type"] == "missing":
        return StudyError(f"{path}: missing; this key is needed")
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return StudyError(f"{path}: {message}" if path else message)
    same = [item for item in errors if item["loc"][: len(keys)] == tuple(keys)]
    expected = " or ".join(dict.fromkeys(_lower(item["msg"]) for item in same)) or _lower(message)
    found = problem["input"]
    hint = nearest(found, _choices(same)) if isinstance(found, str) else ""
    return StudyError(f"{path}: found {_show(found)}, {expected}{hint}")


def _lower(message: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    return (
        message[:1].lower() + message[1:].replace("should be", "expected", 1)
        if message.startswith("should")
        else (message[:1].lower() + message[1:])
    )


def _choices(errors: list[Any]) -> list[str]:
    """The allowed words named in literal errors."""
    words = []
    for item in errors:
        expected = item.get("ctx", {}).get("expected", "")
        words += [word.strip().strip("'") for word in str(expected).replace(" or ", ",").split(",") if word.strip()]
    return words


def _show(value: Any) -> str:
    text = repr(value)
    return (text if len(text) <= 80 else text[:77] + "…") + f" ({type(value).__name__})"


def _model_at(model: type[BaseModel], keys: list[Any]) -> type[BaseModel] | None:
    """The options class that lies at a path of keys, through optionals, unions, lists and mappings."""
    annotation: Any = model
    for key in keys:
        inner = _models_in(annotation)
        field = next((m.model_fields[key] for m in inner if key in m.model_fields), None)
        if field is not None:
            annotation = field.annotation
    inner = _models_in(annotation)
    return inner[0] if inner else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
