"""What is printed of an identification of models, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isocortex.reporting.formatting import THIN, number, percent
from isocortex.reporting.identified_models import IdentifiedModels, share_interval
from isocortex.reporting.vocabulary import method_label

if TYPE_CHECKING:
    import xarray

HEADINGS = ("method", "right", "95 % interval", "on noise alone", "mean rank", "verdict")


def verdicts_text(data: xarray.Dataset, label: str, primary: str = "") -> str:
    """A region's methods, the primary one first, then the most often right, aligned; and why anything is missing."""
    found = IdentifiedModels(data, primary)
    if not found.known:
        return f"{label}: {found.sentence()}".replace(THIN, " ")
    attrs = data.attrs
    head = (
        f"{label}: {data.sizes['kind']} candidates, {int(attrs['n_stimuli'])} stimuli, {int(attrs['n_neuroids'])} "
        f"neuroids, {number(attrs['n_repeats'], 1)} repeats, reliability {number(attrs['reliability'], 2)}; a guess is "
        f"right in {percent(found.chance)}"
    )
    rows = [HEADINGS, *(_row(found, method) for method in found.methods)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEADINGS))]
    lines = [
        "  ".join(_placed(text, width, k) for k, (text, width) in enumerate(zip(row, widths, strict=True))) for row in rows
    ]
    notes = [
        *(f"not asked: {method}, {why}" for method, why in found.skipped.items()),
        *(f"left out: {subject}, {reason}" for subject, reason in found.refused.items()),
    ]
    return "\n".join([head, *(f"  {line.rstrip()}" for line in lines), *(f"  {note}" for note in notes)]).replace(THIN, " ")


def _row(found: IdentifiedModels, method: str) -> tuple[str, ...]:
    low, high = (found.value(method, name) for name in ("rate_low", "rate_high"))
    return (
        method_label(method),
        percent(found.value(method, "rate")),
        share_interval(low, high),
        found.alone(method) or "–",
        number(found.value(method, "mean_rank"), 1),
        found.verdict(method),
    )


def _placed(text: str, width: int, column: int) -> str:
    """Names to the left, numbers to the right."""
    return text.ljust(width) if column in (0, len(HEADINGS) - 1) else text.rjust(width)
