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
    "kernel": Family(4, "kernels", "score", "what a copy of the region would reach", "resembles"),
    "linear": Family(4, "linear maps", "score", "what a copy of the region would reach", "resembles"),
    "neighbours": Family(5, "neighbourhoods", "score", "what a copy of the region would reach", "resembles"),
    "matching": Family(5, "matched units", "score", "what a copy of the region would reach", "resembles"),
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
    "cka": "Centred kernel alignment",
    "deconfounded_cka": "Kernel alignment without a confounder",
    "deconfounded_rsa": "RSA without a confounder",
    "noise_corrected_rsa": "Noise-corrected RSA",
    "gulp": "GULP",
    "cca": "Canonical correlation",
    "svcca": "SVCCA",
    "pwcca": "Projection-weighted CCA",
    "procrustes": "Procrustes distance",
    "linear_predictivity": "Linear predictivity",
    "reverse_predictivity": "Linear predictivity of the model from the region",
    "prediction_rsa": "RSA of predictions",
    "mutual_knn": "Mutual nearest neighbours",
    "cknna": "Alignment of nearest neighbours",
    "relative": "Relative representations",
    "relative_product": "Relative representations, product of spaces",
    "one_to_one": "One-to-one matching",
    "soft_matching": "Soft matching",
    "one_to_many": "One-to-many matching",
    "many_to_many": "Many-to-many matching",
    "best_buddies": "Best buddies",
    "participation_ratio": "Participation ratio",
    "participation_ratio_corrected": "Participation ratio, corrected",
    "participation_ratio_cv": "Participation ratio, cross-validated",
    "effective_rank": "Effective rank",
    "stable_rank": "Stable rank",
    "von_neumann_entropy": "Von Neumann entropy",
    "two_nn": "Two nearest neighbours (TwoNN)",
    "local_rank": "Local rank",
    "diffusion_entropy": "Diffusion spectral entropy",
    "diffusion_information": "Diffusion information about labels",
    "persistence_h0": "Persistence of parts (H0)",
    "persistence_h1": "Persistence of loops (H1)",
    "parallelism": "Parallelism",
    "ccgp": "Cross-condition generalisation",
    "label_alignment": "Alignment with labels",
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
    "cka": {"": "debiased CKA", "biased": "biased CKA"},
    "deconfounded_cka": {"": "CKA without the confounder"},
    "deconfounded_rsa": {"": "partial r of RDMs", "spearman": "partial ρ of RDMs"},
    "noise_corrected_rsa": {"": "noise-corrected r of RDMs", "spearman": "noise-corrected ρ of RDMs"},
    "gulp": {"": "squared GULP distance"},
    "cca": {"": "mean squared canonical correlation", "mean": "mean canonical correlation"},
    "svcca": {"": "mean squared canonical correlation", "mean": "mean canonical correlation"},
    "pwcca": {"": "weighted canonical correlation"},
    "procrustes": {"": "Procrustes distance"},
    "linear_predictivity": {"": "mean r over neuroids"},
    "reverse_predictivity": {"": "mean r over units"},
    "mutual_knn": {"": "share of neighbours in common"},
    "cknna": {"": "alignment of neighbours"},
    "relative": {"": "cosine of relative representations"},
    "relative_product": {"": "cosine of relative representations"},
    "one_to_one": {"": "mean r of matched units"},
    "soft_matching": {"": "mean r of matched units"},
    "one_to_many": {"": "held-out R²"},
    "many_to_many": {"": "mean r of groups"},
    "best_buddies": {"": "r × share of buddies"},
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
    if isinstance(compare, str):
        return COMPARISONS.get(compare, compare)
    return family_of(family).score
