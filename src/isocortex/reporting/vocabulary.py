"""What the families and methods are called on a page, and what their numbers are shares of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Family:
    """How one family of methods speaks: the name of its score, and what a normalized score is a share of."""

    order: int
    title: str
    score: str
    share: str
    verb: str


FAMILIES = {
    "encoding": Family(0, "encoding", "median r", "the explainable variance", "explains"),
    "readout": Family(1, "readout", "median r", "the explainable variance", "explains"),
    "decoding": Family(2, "decoding", "balanced accuracy", "what can be decoded", "decodes"),
    "joint": Family(2, "joint encoding", "median r", "the explainable variance", "explain"),
    "rdm": Family(3, "representational similarity", "RDM correlation", "the lower noise ceiling", "resembles"),
    "geometry": Family(9, "geometry", "value", "", "describes"),
}
OTHER = Family(5, "similarity", "score", "what a copy of the region would reach", "resembles")

METHODS = {
    "ridge": "Ridge encoding",
    "factorized": "Factorized readout",
    "banded": "Banded ridge",
    "stacking": "Stacked ridge",
    "rsa": "RSA",
    "trsa": "Topological RSA",
    "geodesic_rsa": "Geodesic RSA",
    "pls": "Partial least squares",
    "fractional": "Fractional ridge",
    "participation_ratio": "Participation ratio",
}
COMPARISONS = {
    "rho_a": "ρ-a",
    "tau_a": "τ-a",
    "spearman": "Spearman ρ",
    "pearson": "Pearson r",
    "tau_b": "τ-b",
    "cosine": "cosine",
    "whitened_cosine": "whitened cosine",
    "whitened_pearson": "whitened r",
    "bures": "Bures similarity",
}


def family_of(name: str | None) -> Family:
    """The family called `name`; unknown ones speak in general terms."""
    return FAMILIES.get(name or "", OTHER)


def method_label(method: str) -> str:
    """The method's name for people."""
    return METHODS.get(method, method.replace("_", " "))


def score_label(family: str | None, options: Mapping[str, Any]) -> str:
    """What the score is: `median r`, or for RDMs the correlation that the method's options name."""
    compare = options.get("compare")
    if family == "rdm" and isinstance(compare, str):
        return COMPARISONS.get(compare, compare)
    return family_of(family).score
