"""Coordinates of Gram matrices, of all stimuli and of some."""

from __future__ import annotations

import pytest
import torch

from isocortex.similarity.coordinates import coordinates, coordinates_of
from isocortex.similarity.shape.factors import centred


def patterns(n: int, p: int) -> torch.Tensor:
    return torch.randn(n, p, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("p", "rank"), [(7, 7), (30, 20)])
def test_inner_products_are_the_gram(p: int, rank: int) -> None:
    x = patterns(20, p)
    found = coordinates(x @ x.T)
    assert found.shape == (20, rank)
    torch.testing.assert_close(found @ found.T, x @ x.T, rtol=1e-12, atol=1e-12)
    lengths = found.square().sum(0)
    assert (lengths[1:] <= lengths[:-1]).all()


@pytest.mark.parametrize("rows", [[3, 1, 17], list(range(19)), list(range(20)), list(range(19, -1, -1))])
def test_rows_have_the_inner_products_of_their_stimuli(rows: list[int]) -> None:
    x = patterns(20, 30)
    found = coordinates_of(coordinates(x @ x.T), torch.tensor(rows))
    assert found.shape == (len(rows), len(rows))
    torch.testing.assert_close(found @ found.T, (x @ x.T)[rows][:, rows], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("p", [20, 60])
def test_stimuli_that_a_layer_does_not_tell_apart_have_one_pattern(p: int) -> None:
    """A layer of large means that is constant on what one subject saw: what decomposing the whole set lost is no signal."""
    drawn = patterns(40, p)
    x = drawn[0] + 1e-3 * drawn * torch.logspace(0, -3, p, dtype=torch.float64)
    x[:10] = x[0]
    whole = coordinates(x @ x.T)
    assert bool(centred(whole[:10]).any())
    found = coordinates_of(whole, torch.arange(10))
    assert not bool(centred(found).any())
    torch.testing.assert_close(found @ found.T, x[:10] @ x[:10].T, rtol=1e-9, atol=1e-9)
    x[4] += 1e-4 * drawn[20]
    found = coordinates_of(coordinates(x @ x.T), torch.arange(10))
    assert float((found[4] - found[0]).norm()) == pytest.approx(1e-4 * float(drawn[20].norm()), rel=1e-3)
