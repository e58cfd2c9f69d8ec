"""How much of a representation's geometry is that of labels, or of the inputs: alignment of centred Gram matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor
from isocortex.errors import DataError


def label_alignment(x: Any, labels: Any, *, estimator: str = "debiased") -> float:
    """Kernel–target alignment: CKA between the patterns `x` (n, p) and one-hot `labels` (n,); 1 if only class matters.

    `estimator` "debiased" is about 0 for labels by chance; "biased" is above it by more, the more units there are.
    Cristianini et al. 2001; Kornblith et al. 2019. Raises `DataError` for fewer than 2 classes, classes of one stimulus each,
    or an unknown estimator.
    """
    names, member = np.unique(np.asarray(labels), return_inverse=True)
    if not 2 <= len(names) < len(member):
        raise DataError(
            f"geometry: found {len(names)} classes of {len(member)} stimuli, expected at least 2, and several of one"
        )
    patterns = as_tensor(x, dtype=torch.float64)
    hot = torch.nn.functional.one_hot(as_tensor(member, device=patterns.device).to(torch.int64))
    return input_alignment(patterns, hot.to(torch.float64), estimator=estimator)


def input_alignment(x: Any, inputs: Any, *, estimator: str = "debiased") -> float:
    """CKA between the patterns `x` (n, p) and what was shown, `inputs` (n, q), as pixels.

    NaN where either does not vary. Raises `DataError` for unequal or fewer than 4 stimuli, or an unknown estimator.
    """
    if estimator not in _ESTIMATORS:
        raise DataError(f"geometry: found estimator {estimator!r}, expected one of {', '.join(_ESTIMATORS)}")
    a = as_tensor(x, dtype=torch.float64)
    b = as_tensor(inputs, device=a.device, dtype=torch.float64)
    if len(a) != len(b) or len(a) < 4:
        raise DataError(f"geometry: found {len(a)} patterns and {len(b)} inputs, expected as many of both, at least 4")
    product = _ESTIMATORS[estimator]
    first, second = _gram(a), _gram(b)
    scale = product(first, first) * product(second, second)
    return float(product(first, second) / torch.where(scale > 0, scale, torch.nan).sqrt())


def _gram(x: torch.Tensor) -> torch.Tensor:
    flat = x.reshape(len(x), -1)
    centred = flat - flat.mean(dim=0)
    return centred @ centred.T


def _biased(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum()


def _debiased(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Unbiased HSIC (Song et al. 2012) up to the factor n(n − 3)."""
    n = len(a)
    first, second = (matrix - torch.diag(matrix.diagonal()) for matrix in (a, b))
    rows_a, rows_b = first.sum(1), second.sum(1)
    return (first * second).sum() + rows_a.sum() * rows_b.sum() / ((n - 1) * (n - 2)) - 2 * (rows_a @ rows_b) / (n - 2)


_ESTIMATORS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {"biased": _biased, "debiased": _debiased}
