"""Whitened comparators: RDM entries as correlated as noise in the patterns makes them (Diedrichsen et al. 2021).

With pattern noise of covariance Σ over stimuli, entries have the covariance V = (CΣCᵀ)∘(CΣCᵀ), C the contrasts of pairs, and
aᵀV⁻¹b takes the place of aᵀb. V is never made. For Σ = I it has three eigenspaces, so that V^−½ d is an RDM again. Where pairs
are missing, dᵀV⁻¹d over the others is, up to a factor of 2, the least |G|² of all symmetric G whose distances are d there:
a least-squares problem with one unknown per stimulus, which bootstrap draws solve in closed form.
"""

from __future__ import annotations

from typing import Any

import torch

from isocortex.compute import as_tensor, batches, like_input
from isocortex.errors import DataError
from isocortex.similarity.comparators.draws import ratio
from isocortex.similarity.comparators.moments import centred, unit
from isocortex.similarity.comparators.sums import Moments, moments
from isocortex.similarity.rdm.vectors import n_stimuli, to_square

_BLOCK_BYTES = 5e8


def _root(v: torch.Tensor) -> torch.Tensor:
    """√2 V^−½ d for Σ = I: eigenvalues of V are 2n for the mean, n for sums of two effects of stimuli, 2 for the rest."""
    n = n_stimuli(v.shape[-1])
    mean = v.mean(-1, keepdim=True)
    rest = v - mean
    effect = to_square(rest).sum(-1) / max(n - 2, 1)
    first, second = torch.triu_indices(n, n, 1, device=v.device)
    sums = effect[..., first] + effect[..., second]
    return (rest - sums) + sums * (2.0 / n) ** 0.5 + mean * n**-0.5


def cosine(v: torch.Tensor) -> torch.Tensor:
    """Rows (…, N) whose inner product is the whitened cosine of RDM vectors, Σ = I: linear CKA of the Gram matrices."""
    return unit(_root(v))


def pearson(v: torch.Tensor) -> torch.Tensor:
    """Rows whose inner product is the whitened cosine of RDM vectors less their mean (rsatoolbox: corr_cov)."""
    return unit(_root(centred(v)))


def whiten(sums: Moments, brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, *, centre: bool) -> Moments:
    """2 aᵀV⁻¹b in draws (as xx, yy, xy), from the plain `sums`; copies of a stimulus are conditions with no pair between them.

    With r_u = Σ_v c_v d_uv and m copies in all, a copy of u has the squared length g_u of the smallest G, where
    (m + 2 − 2c_u) g_u + Σ_v c_v g_v = r_u, and the sum is Σ_pairs c c d d′ − Σ_u c_u r_u g′_u.
    """
    reach = [torch.stack([counts @ square for square in to_square(rows)], dim=1) for rows in (brain, layers)]
    if centre:
        size = (counts.sum(1, keepdim=True) - counts)[:, None]
        means = [part / sums.pairs[:, None] for part in (sums.x, sums.y)]
        reach = [r - mean[:, :, None] * size for r, mean in zip(reach, means, strict=True)]
        sums = sums.centred()
    taken = _Effects(counts)
    x, y = (taken.parts(r) for r in reach)
    xx, yy = (torch.where(s > 0, s - _inner(part, part, own=True), 0.0) for s, part in ((sums.xx, x), (sums.yy, y)))
    return Moments(sums.pairs, sums.x, sums.y, xx, yy, sums.xy - _inner(x, y, own=False))


def _inner(a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...], *, own: bool) -> torch.Tensor:
    """Σ_u c_u r_u g′_u (D, S, L) from the parts of both sides; (D, S), of each with itself, if `own`."""
    if own:
        return (a[0] * b[0]).sum(-1) + a[1].square() - a[3] * a[2].square()
    return a[0] @ b[0].mT + a[1][:, :, None] * b[1][:, None] - a[3][:, :, None] * a[2][:, :, None] * b[2][:, None]


class _Effects:
    """The inverse of diag(m + 2 − 2c) + 1cᵀ in draws (D, n), free of division by zero.

    The diagonal of the commonest stimulus may be zero or negative. Taking its r from all others leaves its own place without a
    term: with p = r − ρ, P = Σ c p / δ and δ the diagonal, Σ c r g′ = Σ c p p′/δ + ρρ′ − τ (ρ − P)(ρ′ − P′).
    """

    def __init__(self, counts: torch.Tensor) -> None:
        self._most = counts.argmax(1, keepdim=True)
        diagonal = counts.sum(1, keepdim=True) + 2.0 - 2.0 * counts
        own, copies = diagonal.gather(1, self._most), counts.gather(1, self._most)
        self._share = (counts / diagonal).scatter(1, self._most, 0.0)
        self._tau = own / (own * (1.0 + self._share.sum(1, keepdim=True)) + copies)

    def parts(self, r: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """√(c/δ) p (D, K, n), ρ (D, K), ρ − P (D, K) and τ (D, 1), for r (D, K, n)."""
        rho = r.gather(2, self._most[:, None].expand(-1, r.shape[1], 1))
        p = r - rho
        sums = (p @ self._share[:, :, None])[:, :, 0]
        return p * self._share.sqrt()[:, None], rho[:, :, 0], rho[:, :, 0] - sums, self._tau


def by_whitening(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, *, centre: bool) -> torch.Tensor:
    """Whitened cosine, or whitened Pearson if `centre`, (D, S, L) of brain RDMs (S, N) with layers (L, N) in draws (D, n)."""
    if centre:  # keeps the digits
        brain, layers = centred(brain), centred(layers)
    scores = brain.new_empty((len(counts), len(brain), len(layers)))
    width = 32.0 * counts.shape[1] * (len(brain) + len(layers))
    for block in batches(len(counts), width, _BLOCK_BYTES):
        sums = whiten(moments(brain, layers, counts[block]), brain, layers, counts[block], centre=centre)
        scores[block] = ratio(sums.xy, sums.xx, sums.yy)
    return scores


def present_table(a: torch.Tensor, b: torch.Tensor, kept: torch.Tensor, *, centre: bool) -> torch.Tensor:
    """Comparisons (A, B) of RDM vectors (A, N) and (B, N) where only the pairs `kept` (N,) are known.

    V is restricted to them: dᵀV⁻¹d′ = ½ (Σ d d′ − rᵀ(2I + K)⁻¹r′), K the signless Laplacian of the graph of known pairs.
    """
    a, b = (torch.where(kept, v, 0.0) for v in (a, b))
    if centre:
        a, b = (torch.where(kept, v - v.sum(-1, keepdim=True) / kept.sum(), 0.0) for v in (a, b))
    known = to_square(kept.to(a.dtype))
    matrix = known + torch.diag(known.sum(0) + 2.0)
    root = torch.linalg.cholesky(matrix)

    def effects(v: torch.Tensor) -> torch.Tensor:
        return torch.linalg.solve_triangular(root, to_square(v).sum(-1).mT, upper=False).mT

    x, y = effects(a), effects(b)
    xx, yy = (v.square().sum(-1) - r.square().sum(-1) for v, r in ((a, x), (b, y)))
    norm = (xx[:, None] * yy).clamp_min(0.0).sqrt()
    return (a @ b.mT - x @ y.mT) / torch.where(norm > 0, norm, torch.nan)


def whitened_table(a: Any, b: Any, sigma_k: Any = None, centre: bool = False, compat: bool = False) -> Any:
    """Whitened cosine (A, B), or whitened Pearson if `centre`, of RDM vectors (A, N) and (B, N), in float64.

    `sigma_k`: variances (n,) or covariance (n, n) of the pattern estimates over stimuli; None is the identity. Exact for all
    three: G = −D/2 whitened on both sides, then freed of the direction Σ^−½1 that distances do not see. `compat`: as rsatoolbox
    0.3.2 with variances, which frees G of the direction 1 before whitening and is exact for equal ones only. Raises `DataError`
    for missing pairs and for a covariance that is not positive definite.
    """
    x, y = (torch.atleast_2d(as_tensor(v, dtype=torch.float64)) for v in (a, b))
    if not bool(torch.isfinite(x).all() and torch.isfinite(y).all()):
        raise DataError("whitened RSA: found RDMs with missing pairs, expected none; drop those stimuli or leave out sigma_k")
    n = n_stimuli(x.shape[-1])
    sigma = torch.ones(n, dtype=torch.float64) if sigma_k is None else as_tensor(sigma_k, dtype=torch.float64)
    rows = [_flattened(centred(v) if centre else v, sigma.to(v.device), compat) for v in (x, y)]
    return like_input(unit(rows[0]) @ unit(rows[1]).mT, a)


def _flattened(v: torch.Tensor, sigma: torch.Tensor, compat: bool) -> torch.Tensor:
    gram = -0.5 * to_square(v)
    n = gram.shape[-1]
    if sigma.shape not in ((n,), (n, n)):
        raise DataError(f"whitened RSA: found sigma_k of shape {tuple(sigma.shape)}, expected ({n},) or ({n}, {n})")
    if sigma.ndim == 1:
        if not bool((sigma > 0).all()):
            raise DataError("whitened RSA: found variances in sigma_k that are not positive, expected all above zero")
        root = sigma.sqrt()
        if compat:
            return (_freed(gram, torch.ones_like(root)) / torch.outer(root, root)).flatten(1)
        return _freed(gram / torch.outer(root, root), 1.0 / root).flatten(1)
    root, failed = torch.linalg.cholesky_ex(sigma)
    if bool(failed):
        raise DataError("whitened RSA: found a sigma_k that is not positive definite, expected a covariance; shrink it")
    half = torch.linalg.solve_triangular(root, gram, upper=False)
    white = torch.linalg.solve_triangular(root, half.mT, upper=False)
    ones = torch.ones((n, 1), dtype=gram.dtype, device=gram.device)
    return _freed(white, torch.linalg.solve_triangular(root, ones, upper=False)[:, 0]).flatten(1)


def _freed(gram: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """P G P with P = I − uuᵀ/uᵀu."""
    u = direction / direction.norm()
    one_side = gram - torch.einsum("kij,j,l->kil", gram, u, u)
    return one_side - torch.einsum("i,j,kjl->kil", u, u, one_side)
