"""Ridge regression in one fold, decomposed once for any responses, with a penalty for each of them.

min ‖XB − Y‖² + α‖B‖², means of training stimuli taken out first. A penalty is one of PENALTIES times the mean squared length of
the training patterns, so that the scale of a system does not matter; of these the one with the least generalised
cross-validation error on the training stimuli (Golub, Heath & Wahba 1979), n‖residual‖²/(n − 1 − tr H)². It is leave-one-out
with the leverages H_ii by their mean, and needs no residual of a stimulus: a permutation costs two products. Features are not
z-scored: units of a layer come as coordinates, and these may be turned in any way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from isocortex.similarity.linear_patterns import centred_columns

PENALTIES = np.logspace(-8, 8, 17)


@dataclass(frozen=True)
class Fold:
    """A fit on stimuli `train` (n,) for stimuli `test` (m,), with X Xᵀ = U diag(λ) Uᵀ of the training patterns.

    `left` is U (n, r), `values` λ (r,), and `right` (m, r) maps U'y/(λ + α) to predictions; `penalties` (17,).
    """

    train: torch.Tensor
    test: torch.Tensor
    left: torch.Tensor
    values: torch.Tensor
    right: torch.Tensor
    penalties: torch.Tensor

    def predict(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predicted and observed test responses (..., m, v) less the training means, of responses `y` (..., stimuli, v)."""
        known = y[..., self.train, :]
        mean = known.mean(-2, keepdim=True)
        known = centred_columns(known)
        coefficients = self.left.mT @ known
        best = self._errors(coefficients, known.square().sum(-2)).argmin(-2)
        gains = 1.0 / (self.values[:, None] + self.penalties)
        shrunk = torch.movedim(gains[:, best], 0, -2)
        return self.right @ (shrunk * coefficients), y[..., self.test, :] - mean

    def _errors(self, coefficients: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
        """Generalised cross-validation errors (..., 17, v), but for a factor, of U'y (..., r, v) and |y|² (..., v)."""
        squares = coefficients.square()
        left_out = self.penalties[:, None] / (self.values + self.penalties[:, None])
        outside = len(self.train) - 1 - len(self.values)
        # Where the axes span everything, what they leave is rounding, and would decide at small penalties.
        rest = (power - squares.sum(-2)).clamp(min=0.0) * (1.0 if outside > 0 else 0.0)
        residual = left_out.square() @ squares + rest.unsqueeze(-2)
        return residual / (outside + left_out.sum(-1)).square()[:, None]


def fitted_fold(x: torch.Tensor, test: np.ndarray) -> Fold:
    """The fit of all but the stimuli `test` (m,) of a system `x` (n, p), by the smaller of p × p and n × n."""
    rows = torch.as_tensor(test, device=x.device)
    others = torch.ones(len(x), dtype=torch.bool, device=x.device)
    others[rows] = False
    train = others.nonzero().squeeze(1)
    mean = x[train].mean(0)
    known, new = x[train] - mean, x[rows] - mean
    wide = known.shape[1] >= len(known)
    values, vectors = torch.linalg.eigh(known @ known.mT if wide else known.mT @ known)
    total = values.clamp(min=0.0).sum()
    # The least penalty is far above what is left out.
    kept = values > len(known) * torch.finfo(x.dtype).eps * values[-1].clamp(min=torch.finfo(x.dtype).tiny)
    values, vectors = values[kept], vectors[:, kept]
    left = vectors if wide else known @ vectors / values.sqrt()
    right = new @ known.mT @ vectors if wide else new @ vectors * values.sqrt()
    # Training patterns without variance have no axes, and predict the mean whatever the penalty.
    unit = torch.where(total > 0, total / len(known), 1.0)
    return Fold(train, rows, left, values, right, unit * torch.as_tensor(PENALTIES, device=x.device))
