"""A verdict as figures and tables use it: names in order, and who stands at the top together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isocortex.inference.verdict import Verdict


def ranked(verdict: Verdict) -> list[str]:
    """Models that are ranked, closest first."""
    return [item.model for item in verdict.ranking]


def first(verdict: Verdict) -> str | None:
    """The highest ranked model, whether or not anything may be claimed of it."""
    return verdict.ranking[0].model if verdict.ranking else None


def leaders(verdict: Verdict) -> list[str]:
    """The best model and those that cannot be told from it; none where nothing may be claimed."""
    return [] if verdict.best is None else [verdict.best, *verdict.tied_with_best]
