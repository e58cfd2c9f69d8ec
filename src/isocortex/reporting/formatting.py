"""Numbers and names as they are printed: one way of writing each, everywhere on a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

MISSING = "–"
MINUS = "\u2212"
THIN = "\u202f"


def is_missing(value: Any) -> bool:
    """True for None, NaN and pandas' missing values."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return True


def number(value: Any, digits: int = 3) -> str:
    """`value` with fixed decimals, a true minus sign, an en dash where it is missing, and no negative zero."""
    if is_missing(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{abs(float(value)):.{digits}f}"
    return f"{MINUS}{text}" if value < 0 and float(text) != 0 else text


def interval(low: Any, high: Any, digits: int = 3) -> str:
    """`[low, high]`, or a dash where both are missing."""
    if is_missing(low) and is_missing(high):
        return MISSING
    return f"[{number(low, digits)}, {number(high, digits)}]"


def span(low: Any, high: Any, digits: int = 3) -> str:
    """`low to high`, one of them where the other is missing, or a dash."""
    known = [number(value, digits) for value in (low, high) if not is_missing(value)]
    return " to ".join(dict.fromkeys(known)) if known else MISSING


def percent(value: Any) -> str:
    """A share as whole per cent: 0.834 is `83 %`."""
    return MISSING if is_missing(value) else f"{number(100 * value, 0)}{THIN}%"


def p_value(value: Any) -> str:
    """A probability with three decimals, `< 0.001` below that."""
    if is_missing(value):
        return MISSING
    return f"<{THIN}0.001" if value < 0.001 else number(value, 3)


def p_phrase(name: str, value: Any) -> str:
    """`p = 0.034` or `p < 0.001`."""
    text = p_value(value)
    return f"{name} {text.replace(THIN, ' ')}" if text.startswith("<") else f"{name} = {text}"


def count(value: Any) -> str:
    """A whole number with thin spaces between thousands."""
    return MISSING if is_missing(value) else f"{int(value):,}".replace(",", THIN)


def plural(value: Any, noun: str) -> str:
    """`1 subject`, `3 subjects`, `2 stimuli`."""
    several = {"stimulus": "stimuli"}.get(noun, f"{noun}s")
    return f"{count(value)} {noun if value == 1 else several}"


def listing(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def shorten(text: str, width: int = 34) -> str:
    """`text`, cut in its middle beyond `width` characters; control characters, which no SVG may hold, become spaces."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[-(width - 1 - head) :]}"
