"""What a confounder leaves: residuals beside least squares, planted confounders, and what the inference does with residuals."""

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.comparators.ranks import average_ranks
from isocortex.similarity.deconfounded import Confounded, deconfounded_cka, deconfounded_rsa, kernel_residual
from isocortex.similarity.deconfounded.residual import residual
from isocortex.similarity.deconfounded.rows import kernel_summaries, rdm_summaries
from isocortex.similarity.rdm import rdm, to_square
from isocortex.similarity.summaries import compare_systems

RESIDUALS = ["debiased", "signed", "clipped"]
COMPARE = ["pearson", "spearman"]
N = 24


def systems(n=N, seed=0, p=6, q=5):
    rng = np.random.default_rng(seed)
    confounder = rng.normal(size=(n, 3))
    shared = rng.normal(size=(n, 3))
    x = shared @ rng.normal(size=(3, p)) + confounder @ rng.normal(size=(3, p)) + rng.normal(size=(n, p))
    y = shared @ rng.normal(size=(3, q)) + confounder @ rng.normal(size=(3, q)) + rng.normal(size=(n, q))
    return x, y, confounder, rng


def gram(x):
    moved = x - x.mean(0)
    return moved @ moved.T


def centre(k):
    h = np.eye(len(k)) - 1 / len(k)
    return h @ k @ h


def least_squares(values, columns):
    design = np.stack([np.ones(len(values)), *columns], axis=1)
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


def naive_u(k):
    """The U-centred matrix, entry by entry."""
    n = len(k)
    k = k - np.diag(np.diag(k))
    return np.array(
        [
            [
                0.0 if i == j else k[i, j] - k[i].sum() / (n - 2) - k[:, j].sum() / (n - 2) + k.sum() / ((n - 1) * (n - 2))
                for j in range(n)
            ]
            for i in range(n)
        ]
    )


def naive_kernel(x, confounders, how):
    k, taken = gram(x), [gram(c) for c in confounders]
    if how == "debiased":
        columns = np.stack([naive_u(c).ravel() for c in taken], axis=1)
        target = naive_u(k).ravel()
        return (target - columns @ np.linalg.lstsq(columns, target, rcond=None)[0]).reshape(k.shape)
    left = least_squares(k.ravel(), [c.ravel() for c in taken]).reshape(k.shape)
    if how == "clipped":
        values, vectors = np.linalg.eigh(left)
        left = (vectors * np.maximum(values, 0)) @ vectors.T
    return centre(left)


def cosine(a, b):
    return np.sum(a * b) / np.sqrt(np.sum(a**2) * np.sum(b**2))


def naive_rsa(x, y, confounders, compare):
    rank = (lambda v: average_ranks(torch.as_tensor(v)).numpy()) if compare == "spearman" else (lambda v: v)
    left = [least_squares(rank(rdm(z)), [rank(rdm(c)) for c in confounders]) for z in (x, y)]
    return np.corrcoef(*left)[0, 1]


@pytest.mark.parametrize("how", RESIDUALS)
@pytest.mark.parametrize("n_confounders", [1, 3])
def test_alignment_is_that_of_least_squares(how, n_confounders):
    x, y, confounder, rng = systems()
    taken = [confounder, *(rng.normal(size=(N, 4)) + 0.5 * confounder[:, :1] for _ in range(n_confounders - 1))]
    expected = cosine(*(naive_kernel(z, taken, how) for z in (x, y)))
    given = taken if n_confounders > 1 else confounder
    assert deconfounded_cka(x, y, given, how) == pytest.approx(expected, abs=1e-10)
    assert deconfounded_cka(y, x, given, how) == pytest.approx(expected, abs=1e-10)
    tensors = [torch.as_tensor(z) for z in (x, y)]
    assert deconfounded_cka(*tensors, [torch.as_tensor(c) for c in taken], how) == pytest.approx(expected, abs=1e-10)
    # The scale of a system does not matter, nor does that of the confounder.
    assert deconfounded_cka(3 * x, 0.1 * y, [7 * c for c in taken], how) == pytest.approx(expected, abs=1e-10)
    assert deconfounded_cka(x, x, given, how) == pytest.approx(1.0, abs=1e-12)
    left = kernel_residual(gram(x), [gram(c) for c in taken], how)
    assert isinstance(left, np.ndarray)
    assert left == pytest.approx(naive_kernel(x, taken, how), abs=1e-9)


@pytest.mark.parametrize("compare", COMPARE)
def test_rsa_is_the_partial_correlation(compare):
    x, y, confounder, rng = systems()
    other = rng.normal(size=(N, 4))
    assert deconfounded_rsa(x, y, confounder, compare=compare) == pytest.approx(naive_rsa(x, y, [confounder], compare))
    both = [confounder, other]
    assert deconfounded_rsa(x, y, both, compare=compare) == pytest.approx(naive_rsa(x, y, both, compare))
    # Of three vectors the partial correlation has a closed form.
    rank = (lambda v: average_ranks(torch.as_tensor(v)).numpy()) if compare == "spearman" else (lambda v: v)
    a, b, c = (rank(rdm(z)) for z in (x, y, confounder))
    ab, ac, bc = (np.corrcoef(*pair)[0, 1] for pair in ((a, b), (a, c), (b, c)))
    closed = (ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2))
    assert deconfounded_rsa(x, y, confounder, compare=compare) == pytest.approx(closed, abs=1e-10)


def test_columns_that_say_the_same_are_one():
    rng = np.random.default_rng(0)
    values, a, b = torch.as_tensor(rng.normal(size=(3, 30)))
    expected = least_squares(values.numpy(), [a.numpy(), b.numpy()])
    for columns in ([a, b], [a, b, a], [a, 2 * b, a + b, torch.ones(30, dtype=torch.float64)], [a, a + 1e-7 * b]):
        assert residual(values, columns, intercept=True).numpy() == pytest.approx(expected, abs=1e-8)
    left = residual(values, [a, b], intercept=True)
    assert max(abs(float(left @ v)) for v in (a, b, torch.ones(30, dtype=torch.float64))) < 1e-12


CASES = [(kernel_summaries, {"residual": how}) for how in RESIDUALS] + [(rdm_summaries, {"compare": c}) for c in COMPARE]
NAMED = [*RESIDUALS, *COMPARE]


def made(make, *arrays):
    """Arrays as systems of the level of the summaries: patterns, or RDMs."""
    if make is kernel_summaries:
        return [torch.as_tensor(z) for z in arrays]
    return [to_square(torch.as_tensor(rdm(z))) for z in arrays]


def value(make, options, x, y, c):
    return deconfounded_cka(x, y, c, **options) if make is kernel_summaries else deconfounded_rsa(x, y, c, **options)


@pytest.mark.parametrize(("make", "options"), CASES, ids=NAMED)
def test_summaries_are_the_function_on_any_stimuli(make, options):
    x, y, c, rng = systems()
    one, other, taken = made(make, x, y, c)
    method = make(options)
    assert compare_systems(method, Confounded(one, (taken,)), Confounded(other, (taken,))) == pytest.approx(
        value(make, options, x, y, c), abs=1e-10
    )
    rows = np.sort(rng.permutation(N)[:15])
    part = [method.of(Confounded(z, (taken,)), rows) for z in (one, other)]
    expected = value(make, options, x[rows], y[rows], c[rows])
    assert method.compare(part[:1], part[1:])[0, 0] == pytest.approx(expected, abs=1e-10)
    # The residual on some stimuli is another than that of all on these.
    whole = method.of(Confounded(one, (taken,)), np.arange(N)).matrix[rows][:, rows]
    assert not torch.allclose(whole, part[0].matrix, atol=1e-3)


@pytest.mark.parametrize(("make", "options"), CASES, ids=NAMED)
def test_a_permutation_moves_a_system_with_its_confounder(make, options):
    x, y, c, rng = systems()
    method, every, order = make(options), np.arange(N), rng.permutation(N)
    one, other, taken, moved, moved_too = made(make, x, y, c, x[order], c[order])
    found = method.permuted(method.of(Confounded(one, (taken,)), every), order)
    again = method.of(Confounded(moved, (moved_too,)), every)
    against = [method.of(Confounded(other, (taken,)), every)]
    assert method.compare([found], against)[0, 0] == pytest.approx(method.compare([again], against)[0, 0], abs=1e-10)
    assert len(Confounded(one, (taken,))) == N
    assert method.permuting == "moderate"


@pytest.mark.parametrize("compare", COMPARE)
def test_pooled_residuals_are_means_of_subjects_of_unit_variance(compare):
    x, y, c, rng = systems()
    method, every = rdm_summaries({"compare": compare}), np.arange(N)
    squares = made(rdm_summaries, x, 9 * y, c, rng.normal(size=(N, 6)))
    first, second, third = (method.of(Confounded(squares[k], (squares[2],)), every) for k in (0, 1, 3))
    pool = method.pooled([first, method.permuted(second, np.arange(N)[::-1].copy())])
    rank = (lambda v: average_ranks(torch.as_tensor(v)).numpy()) if compare == "spearman" else (lambda v: v)
    left = [least_squares(rank(rdm(z)), [rank(rdm(c))]) for z in (x, y)]
    flipped = to_square(left[1])[::-1, ::-1]
    mean = left[0] / left[0].std() + flipped[np.triu_indices(N, 1)] / left[1].std()
    expected = np.corrcoef(mean, third.flat().reshape(N, N).numpy()[np.triu_indices(N, 1)])[0, 1]
    assert method.compare([pool], [third])[0, 0] == pytest.approx(expected, abs=1e-10)


def test_degenerate_systems_have_one_answer():
    x, y, c, _ = systems()
    rotated = c @ np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    nothing = "found nothing left of {} of 24 stimuli after the confounder, expected a system that differs from it; leave"
    for how in RESIDUALS:
        with pytest.raises(DataError, match="deconfounded cka: " + nothing.format("the patterns")):
            deconfounded_cka(rotated, y, c, how)
        with pytest.raises(DataError, match="deconfounded cka: " + nothing.format("the patterns")):
            deconfounded_cka(x, 2 * y, [c, y], how)
    for compare in COMPARE:
        with pytest.raises(DataError, match="deconfounded rsa: " + nothing.format("the RDM")):
            deconfounded_rsa(c, y, c, compare=compare)
    with pytest.raises(DataError, match="deconfounded cka: found the same pattern for all 24 stimuli, expected some"):
        deconfounded_cka(x, y, np.ones((N, 3)))
    with pytest.raises(DataError, match="deconfounded cka: found 24 stimuli in x and 20 in y, expected the same stimuli"):
        deconfounded_cka(x, y, c[:20])
    with pytest.raises(DataError, match="deconfounded cka: found 3 stimuli, expected at least 4; compare needs more stimuli"):
        deconfounded_cka(x[:3], y[:3], c[:3])
    with pytest.raises(DataError, match="RDM: found 2 stimuli, expected at least 3"):
        deconfounded_rsa(x[:2], y[:2], c[:2])
    with pytest.raises(DataError, match="RDM: found 1 constant patterns of 24, expected none"):
        deconfounded_rsa(np.r_[np.ones((1, 6)), x[1:]], y, c)
    squares = made(rdm_summaries, x, c)
    method = rdm_summaries({})
    with pytest.raises(DataError, match="deconfounded rsa: found 2 stimuli, expected at least 3"):
        method.of(Confounded(squares[0], (squares[1],)), np.arange(2))
    squares[0][3, 4] = squares[0][4, 3] = torch.nan
    with pytest.raises(DataError, match="deconfounded rsa: found 1 pairs of stimuli without a distance, expected none"):
        method.of(Confounded(squares[0], (squares[1],)), np.arange(N))
    copies = np.r_[x[:1], x[:-1]]
    assert deconfounded_cka(copies, y, c) == pytest.approx(cosine(*(naive_kernel(z, [c], "debiased") for z in (copies, y))))
    silent = np.c_[x, np.ones(N)]
    assert deconfounded_cka(silent, y, c) == pytest.approx(deconfounded_cka(x, y, c), abs=1e-12)


def test_unknown_names_are_refused():
    x, y, c, _ = systems()
    with pytest.raises(ValueError, match=r"deconfounded cka: found residual 'best', expected one of \['clipped', 'debiased'"):
        deconfounded_cka(x, y, c, "best")
    with pytest.raises(ValueError, match="deconfounded cka: found residual 'best'"):
        kernel_residual(gram(x), [gram(c)], "best")
    with pytest.raises(ValueError, match=r"deconfounded rsa: found compare 'tau', expected one of \['pearson', 'spearman'\]"):
        deconfounded_rsa(x, y, c, compare="tau")
