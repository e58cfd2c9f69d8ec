"""Cross-validation from one decomposition of all training rows: held-out residuals by the block leave-out identity.

With R = I − H, the residual maker of a ridge regression with an unpenalised intercept, the residuals of rows S under a fit
without them are e_S = R_SS⁻¹ (R y)_S. R = V diag(α/(s + α)) Vᵀ + N is formed directly, N the projection onto centred directions
that V leaves out (zero where p ≥ n): as I − H it would lose, in float32, two digits where p > n.

Inside, neuroids are rows: those that share a penalty are then gathered as whole rows, and a fold is a slice of columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from isocortex.encoding.decomposition import Basis
from isocortex.encoding.precision import needs_float64

# Inverses of R_SS are kept, penalty by penalty, up to this size.
KEEP_BYTES = 1280 << 20
# A second copy of the eigenvectors, only to have their rows in order, is made up to this size.
COPY_BYTES = 128 << 20


@dataclass(frozen=True)
class Scores:
    """Responses in the basis: z (v, r) = (y − ȳ)ᵀ V, and what V leaves out of them at the rows of the folds, (v, n) or
    None."""

    z: torch.Tensor
    outside: torch.Tensor | None

    def of(self, neuroids: torch.Tensor) -> Scores:
        """The scores of some neuroids."""
        return Scores(self.z[neuroids], None if self.outside is None else self.outside[neuroids])


@dataclass
class LeaveOut:
    """Held-out residuals for every penalty from `basis`, the decomposition of all n training rows.

    parts : positions of each fold among the training rows; together they are all of them. centre : whether there is an
    intercept. Responses (n, v) are those of the training rows, in their order; their dtype is that of the arithmetic, but for
    penalties too small for float32 (`precision`).
    """

    basis: Basis
    parts: Sequence[torch.Tensor]
    centre: bool = True
    order: torch.Tensor = field(init=False)
    slices: list[slice] = field(init=False)
    complete: bool = field(init=False)

    def __post_init__(self) -> None:
        n, rank = self.basis.vectors.shape
        self.complete = rank >= n - int(self.centre)
        self.order = torch.cat(list(self.parts))
        ends = torch.tensor([len(part) for part in self.parts]).cumsum(0).tolist()
        self.slices = [slice(start, stop) for start, stop in zip([0, *ends[:-1]], ends, strict=True)]
        self.single = len(ends) == ends[-1]
        self._cast: dict[torch.dtype, torch.Tensor] = {}
        self._inverses: dict[tuple[float, torch.dtype], list[torch.Tensor]] = {}

    def ordered(self, dtype: torch.dtype) -> torch.Tensor | None:
        """The eigenvectors' rows in the order of the folds, (n, r), kept; None where only rounding asks for so large a copy."""
        if dtype == self.basis.vectors.dtype and self.basis.vectors.nbytes > COPY_BYTES:
            return None
        if dtype not in self._cast:
            self._cast[dtype] = self.basis.vectors.to(dtype)[self.order]
        return self._cast[dtype]

    def fold(self, number: int, dtype: torch.dtype) -> torch.Tensor:
        """The eigenvectors' rows of one fold, (m, r)."""
        whole = self.ordered(dtype)
        return self.basis.vectors[self.parts[number]].to(dtype) if whole is None else whole[self.slices[number]]

    def scores(self, y: torch.Tensor) -> Scores:
        """The responses (n, v) in the basis."""
        centred = y - y.mean(0) if self.centre else y
        whole = self.ordered(y.dtype)
        z = centred.T @ self.basis.vectors if whole is None else centred[self.order].T @ whole
        return Scores(z, None if self.complete else centred[self.order].T - self._placed(z))

    def _placed(self, weights: torch.Tensor) -> torch.Tensor:
        """weights (v, r) times the eigenvectors' rows in the order of the folds: (v, n)."""
        whole = self.ordered(weights.dtype)
        if whole is not None:
            return weights @ whole.T
        made = weights.new_empty(len(weights), len(self.order))
        for number, where in enumerate(self.slices):
            made[:, where] = weights @ self.fold(number, weights.dtype).T
        return made

    def errors(self, y: torch.Tensor, alphas: torch.Tensor, scores: Scores | None = None) -> torch.Tensor:
        """Mean over folds, with equal weight, of the mean squared held-out error: (A, v) float64. scores : of `y`, if known."""
        result = torch.empty(len(alphas), y.shape[1], dtype=torch.float64, device=y.device)
        exact = needs_float64(alphas, self.basis.values, y.dtype)
        for dtype, wanted in ((torch.float64, exact), (y.dtype, ~exact)):
            if bool(wanted.any()):
                known = scores if scores is not None and dtype == y.dtype else self.scores(y.to(dtype))
                result[wanted] = torch.stack([self._error(known, alpha) for alpha in alphas[wanted].tolist()])
        return result

    def _error(self, scores: Scores, alpha: float) -> torch.Tensor:
        total = torch.zeros(len(scores.z), dtype=torch.float64, device=scores.z.device)
        if self.single:
            return self._solved(self.made(scores, alpha), alpha).double().square().mean(1)
        # Solving for the basis costs m²r, for the neuroids m²v: whichever are fewer.
        by_basis = len(self.basis.values) < len(scores.z)
        made = None if by_basis else self.made(scores, alpha)
        shrink = self._shrink(alpha, scores.z.dtype)
        for number, (where, inverse) in enumerate(zip(self.slices, self.inverses(alpha, scores.z.dtype), strict=True)):
            if made is None:
                residual = scores.z @ ((inverse @ self.fold(number, inverse.dtype)) * shrink).T
                if scores.outside is not None:
                    residual += scores.outside[:, where] @ inverse
            else:
                residual = made[:, where] @ inverse
            total += _mean_square(residual)
        return total / len(self.parts)

    def made(self, scores: Scores, alphas: torch.Tensor | float) -> torch.Tensor:
        """R y at the rows of the folds (v, n), at one penalty or at one per neuroid (v,)."""
        own = alphas[:, None].to(scores.z.dtype) if isinstance(alphas, torch.Tensor) else alphas
        result = self._placed(scores.z * self._shrink(own, scores.z.dtype))
        return result if scores.outside is None else result.add_(scores.outside)

    def _shrink(self, alpha: torch.Tensor | float, dtype: torch.dtype) -> torch.Tensor:
        """α/(s + α)."""
        return alpha / (self.basis.values.to(dtype) + alpha)

    def inverses(self, alpha: float, dtype: torch.dtype) -> list[torch.Tensor]:
        """R_SS⁻¹ (m, m) of every part; the inversion itself in float64."""
        if (alpha, dtype) in self._inverses:
            return self._inverses[alpha, dtype]
        factors = (torch.linalg.cholesky(self._block(alpha, number, dtype)) for number in range(len(self.parts)))
        made = [torch.cholesky_inverse(factor).to(dtype) for factor in factors]
        size = sum(inverse.nbytes for inverse in made)
        if (len(self._inverses) + 1) * size <= KEEP_BYTES:
            self._inverses[alpha, dtype] = made
        return made

    def _block(self, alpha: float, number: int, dtype: torch.dtype) -> torch.Tensor:
        rows = self.fold(number, dtype)
        block = ((rows * self._shrink(alpha, dtype)) @ rows.T).double()
        if self.complete:
            return block
        whole = self.basis.vectors[self.parts[number]].double()
        null = torch.eye(len(rows), dtype=torch.float64, device=rows.device) - whole @ whole.T
        return block + null - (1 / len(self.basis.vectors) if self.centre else 0.0)

    def _solved(self, made: torch.Tensor, alpha: float) -> torch.Tensor:
        """e at the rows of the folds, from R y there, (v, n) both; in place."""
        if self.single:  # leave-one-out: R_ii for all rows at once
            squares = self.basis.vectors.square()  # float64: squares of what float32 holds are not what the rest lacks
            diagonal = squares @ self._shrink(alpha, squares.dtype)
            if not self.complete:
                diagonal += 1 - squares.sum(1) - (1 / len(squares) if self.centre else 0.0)
            return made.div_(diagonal[self.order].to(made.dtype))
        for where, inverse in zip(self.slices, self.inverses(alpha, made.dtype), strict=True):
            made[:, where] = made[:, where] @ inverse
        return made

    def residuals(self, scores: Scores, alphas: torch.Tensor) -> torch.Tensor:
        """Held-out residuals (v, n) at the rows of the folds, at one penalty per neuroid (v,), in the dtype of `scores`."""
        made = self.made(scores, alphas)
        for alpha in alphas.unique().tolist():
            neuroids = (alphas == alpha).nonzero().squeeze(1)
            made[neuroids] = self._solved(made[neuroids], alpha)
        return made

    def mean_squares(self, residuals: torch.Tensor) -> torch.Tensor:
        """Mean over folds of the mean squared residual (v,) float64, from residuals (v, n)."""
        if self.single:
            return residuals.double().square().mean(1)
        return torch.stack([_mean_square(residuals[:, where]) for where in self.slices]).mean(0)

    def in_rows(self, residuals: torch.Tensor) -> torch.Tensor:
        """Residuals (v, n) in the order of the folds as (n, v) in that of the training rows."""
        result = residuals.new_empty(residuals.shape[::-1])
        result[self.order] = residuals.T
        return result


def _mean_square(residual: torch.Tensor) -> torch.Tensor:
    """Mean square (v,) float64 of the columns of (v, m). A norm needs no copy of them, as squares would."""
    return residual.norm(dim=1).double().square() / residual.shape[1]
