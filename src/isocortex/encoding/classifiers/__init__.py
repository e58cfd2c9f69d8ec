"""CLASSIFIERS: from the principal scores of a kernel to classes, many labellings at a time.

Classes weigh equally in all of them, as they do in balanced accuracy: none gains by guessing the commonest label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from isocortex.encoding.classifiers.lda import lda
from isocortex.encoding.classifiers.logistic import PENALTIES as LOGISTIC_PENALTIES
from isocortex.encoding.classifiers.logistic import logistic
from isocortex.encoding.classifiers.problem import Problem
from isocortex.encoding.classifiers.ridge import PENALTIES as RIDGE_PENALTIES
from isocortex.encoding.classifiers.ridge import ridge


@dataclass(frozen=True)
class Classifier:
    """A function (problem, penalties (A, P)) → class numbers (A, P, n_other); `penalties`: what is tried, ascending.

    Penalties are in units of the mean squared length of a centred training row. No penalty: the classifier sets its own, and A
    is 1. `cost` is that of a permutation.
    """

    function: Callable[[Problem, torch.Tensor], torch.Tensor]
    penalties: Sequence[float]
    cost: str


CLASSIFIERS: dict[str, Classifier] = {
    "logistic": Classifier(logistic, LOGISTIC_PENALTIES, "costly"),
    "ridge": Classifier(ridge, RIDGE_PENALTIES, "moderate"),
    "lda": Classifier(lda, (), "moderate"),
}
