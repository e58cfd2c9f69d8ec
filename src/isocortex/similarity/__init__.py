"""Numbers that compare two representations: arrays or tensors in, numbers out.

Functions are imported when they are first asked for, so that nobody loads, or depends on the code of, what is not used, and
who reads what METRICS says of a row loads no tensors.
"""

# ruff: noqa: TC004  # names of __all__ that are bound by `_Lazy`

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from isocortex.similarity.metrics import METRICS, Metric

if TYPE_CHECKING:
    from isocortex.similarity.cca.rows import cca, pwcca, svcca
    from isocortex.similarity.cka.rows import cka
    from isocortex.similarity.comparators import compare_rdms
    from isocortex.similarity.deconfounded.rows import deconfounded_cka, deconfounded_rsa
    from isocortex.similarity.gulp import gulp
    from isocortex.similarity.matching.rows import best_buddies, many_to_many, one_to_many, one_to_one, soft_matching
    from isocortex.similarity.neighbours.rows import cknna, mutual_knn
    from isocortex.similarity.noise_corrected import noise_corrected_rsa
    from isocortex.similarity.predictivity.rows import linear_predictivity, prediction_rsa, reverse_predictivity
    from isocortex.similarity.procrustes import procrustes
    from isocortex.similarity.rdm import rdm, rdm_from_gram, to_square, to_vector
    from isocortex.similarity.relative import relative, relative_product
    from isocortex.similarity.rsa import rsa

# Families whose functions are offered here under the names of their rows.
_FAMILIES = ("kernel", "linear", "neighbours", "matching")
_ROWS = {name: row for name, row in METRICS.items() if row.family in _FAMILIES}
# Other functions, by their modules.
_MODULES = {
    "compare_rdms": "comparators",
    "rdm": "rdm",
    "rdm_from_gram": "rdm",
    "rsa": "rsa",
    "to_square": "rdm",
    "to_vector": "rdm",
}


class _Lazy(ModuleType):
    """This package, with functions that are bound when they are read."""

    def __getattr__(self, name: str) -> Any:
        if name in _ROWS:
            return _ROWS[name].bind()
        if name in _MODULES:
            return getattr(importlib.import_module(f"{self.__name__}.{_MODULES[name]}"), name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        # The module `cka`, once imported, would hide the function `cka`: which of them is seen would be chance.
        if not ((name in _ROWS or name in _MODULES) and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Lazy

__all__ = [
    "METRICS",
    "Metric",
    "best_buddies",
    "cca",
    "cka",
    "cknna",
    "compare_rdms",
    "deconfounded_cka",
    "deconfounded_rsa",
    "gulp",
    "linear_predictivity",
    "many_to_many",
    "mutual_knn",
    "noise_corrected_rsa",
    "one_to_many",
    "one_to_one",
    "prediction_rsa",
    "procrustes",
    "pwcca",
    "rdm",
    "rdm_from_gram",
    "relative",
    "relative_product",
    "reverse_predictivity",
    "rsa",
    "soft_matching",
    "svcca",
    "to_square",
    "to_vector",
]
