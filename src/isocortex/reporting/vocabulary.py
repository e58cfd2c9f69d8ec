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
    "core": Family(1, "response-optimised core", "median r", "the explainable variance", "explains"),
    "decoding": Family(2, "decoding", "balanced accuracy", "what can be decoded", "decodes"),
    "joint": Family(2, "joint encoding", "median r", "the explainable variance", "explain"),
    "rdm": Family(3, "representational similarity", "RDM correlation", "the lower noise ceiling", "resembles"),
    "graph": Family(4, "curvature of the graph of stimuli", "score", "what a copy of the region would reach", "resembles"),
    "shape": Family(5, "shape", "score", "the way from chance to the region's own repeats", "resembles"),
    "stochastic": Family(
        6, "shape with its noise", "stochastic shape distance", "the way from chance to the region's own repeats", "resembles"
    ),
    "geometry": Family(9, "geometry", "value", "", "describes"),
}
OTHER = Family(5, "similarity", "score", "what a copy of the region would reach", "resembles")

METHODS = {
    "ridge": "Ridge encoding",
    "linear": "Linear readout",
    "factorized": "Factorized readout",
    "gaussian": "Gaussian readout",
    "fwrf": "Feature-weighted receptive field",
    "semantic": "Semantic spatial transformer",
    "semantic_identity": "Transformer without a warp",
    "semantic_shuffled": "Transformer, images shuffled",
    "banded": "Banded ridge",
    "stacking": "Stacked ridge",
    "rsa": "RSA",
    "trsa": "Topological RSA",
    "geodesic_rsa": "Geodesic RSA",
    "pls": "Partial least squares",
    "fractional": "Fractional ridge",
    "ricci": "Ricci curvature",
    "ricci_partial": "Ricci curvature beyond mean distance",
    "ricci_distribution": "Curvature distributions",
    "ricci_edges": "Shared edges",
    "ricci_communities": "Ricci-flow communities",
    "shape": "Shape distance",
    "shape_moments": "Shape similarity, unbiased moments",
    "stochastic_shape": "Stochastic shape distance",
    "participation_ratio": "Participation ratio",
}
# Where there is little room.
SHORT = {"linear": "linear", "factorized": "factorized", "gaussian": "Gaussian", "fwrf": "fwRF", "semantic": "transformer"}
# Readouts as they stand below each other, the transformer's twins last.
READOUT_ORDER = ("linear", "factorized", "gaussian", "fwrf", "semantic", "semantic_identity", "semantic_shuffled")
# What a method's score is: by the option that decides it, "" where none of these is set.
SCORES = {
    "ricci": {"": "Spearman ρ of node curvature"},
    "ricci_partial": {"": "partial ρ of node curvature"},
    "ricci_distribution": {"": "Wasserstein distance", "kolmogorov_smirnov": "Kolmogorov–Smirnov distance"},
    "ricci_edges": {"": "edges in common beyond chance"},
    "ricci_communities": {
        "": "agreement of communities",
        "ami": "adjusted mutual information",
        "ari": "adjusted Rand index",
        "vi": "1 − variation of information / ln n",
    },
    "shape": {"": "angle (rad)", "euclidean": "Euclidean shape distance"},
    "shape_moments": {"": "shape similarity"},
    "stochastic_shape": {"": "stochastic shape distance", "gaussian": "Gaussian shape distance", "energy": "energy distance"},
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


def score_label(family: str | None, options: Mapping[str, Any], method: str = "") -> str:
    """What the score is: `median r`, or what the method's options make of it, as the correlation of RDMs that they name."""
    if method in SCORES:
        labels = SCORES[method]
        chosen = (value for value in options.values() if isinstance(value, str) and value in labels)
        return labels[next(chosen, "")]
    compare = options.get("compare")
    if family == "rdm" and isinstance(compare, str):
        return COMPARISONS.get(compare, compare)
    return family_of(family).score
