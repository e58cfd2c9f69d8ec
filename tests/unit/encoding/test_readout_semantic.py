"""The transformer: a mask that follows an object beats one that stands still, and gains nothing where nothing moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.readouts import semantic
from isocortex.encoding.readouts.factorized import fit_factorized
from isocortex.encoding.readouts.head_semantic import SemanticHead
from isocortex.encoding.readouts.semantic import concordant, fit_semantic, masked_losses
from isocortex.encoding.readouts.warps import NUMBERS, numbers, thetas, warped
from isocortex.encoding.scores import pearson


def scores(world, n_train, **options):
    """r of every neuroid on held-out stimuli: factorised, transformer, identity twin, localiser on shuffled images."""
    train, test, held = slice(0, n_train), slice(n_train, None), np.arange(n_train // 5)
    maps, y, guide = world.maps, world.y, world.guide
    # The twin has masks without negative weights: so has the readout that it is compared with.
    still = fit_factorized(maps[train], y[train], held, {"nonnegative": "masks"}).predict(maps[test])
    made = fit_semantic(maps[train], y[train], held, options, guide=guide[train]).predict(maps[test], guide[test])
    twin = fit_semantic(maps[train], y[train], held, {**options, "warp": "none"}).predict(maps[test])
    rng = np.random.default_rng(1)
    order, other = rng.permutation(n_train), n_train + rng.permutation(len(y) - n_train)
    null = fit_semantic(maps[train], y[train], held, options, guide=guide[order]).predict(maps[test], guide[other])
    return np.stack([pearson(part.astype(float), y[test]) for part in (still, made, twin, null)])


def check_moving(r):
    still, made, twin, null = r
    assert (made > still + 0.1).all()
    assert np.median(made - twin) > 0.15
    assert np.median(np.abs(null - twin)) < 0.02  # nothing to be had from other images


def check_fixed(r, n_test):
    """Within the standard error of r, and of the mean of its differences."""
    still, made, twin, null = r
    for other in (still, twin, null):
        assert np.abs(np.median(made - other)) < (1 - np.median(made) ** 2) / np.sqrt(n_test)
        gain = made - other
        assert gain.mean() > -2 * max(gain.std() / np.sqrt(len(gain)), 0.002)


def test_an_object_that_moves(make_objects):
    check_moving(scores(make_objects(n=600, v=6), 420, warp="translation", patience=5))


def test_a_field_that_stands_still(make_objects):
    check_fixed(scores(make_objects(n=500, v=6, moving=False, seed=1), 350, patience=5), 150)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("warp", ["full", "translation", "translation+rotation+scale+shear"])
def test_more_stimuli_neuroids_and_warps(make_objects, seed, warp):
    check_moving(scores(make_objects(n=1500, v=16, seed=seed), 1000, warp=warp))
    check_fixed(scores(make_objects(n=1500, v=16, moving=False, seed=seed), 1000, warp=warp), 500)


def test_theta_moves_the_mask_to_the_object(make_objects):
    """Where the warped mask looks follows the object; the identity twin's θ does not move."""
    world = make_objects(n=500, v=5)
    options = {"warp": "translation", "nested": False, "epochs": 20}
    made = fit_semantic(world.maps, world.y, np.arange(120), options, guide=world.guide)
    theta = made.theta(world.guide)
    assert theta.shape == (500, 5, 6)
    np.testing.assert_allclose(theta[..., [0, 1, 3, 4]], np.broadcast_to([1, 0, 0, 1], (500, 5, 4)))
    shift = theta[..., 2] - theta[..., 2].mean(0)
    assert np.abs(np.corrcoef(shift.T)).mean() > 0.8  # all neuroids follow the same object
    twin = fit_semantic(world.maps[:200], world.y[:200], np.arange(40), {"warp": "none", "epochs": 3})
    assert (twin.theta(world.guide) == np.array([1, 0, 0, 0, 1, 0])).all()


def test_each_neuroid_keeps_the_localiser_of_its_own_best_epoch(planted):
    made = fit_semantic(
        planted.maps[:160], planted.y[:160], np.arange(40), {"nested": False, "patience": 4}, guide=planted.maps[:160]
    )
    assert len(made.trained.snapshot.unique()) > 1
    again = made.predict(planted.maps[:40], planted.maps[:40])
    np.testing.assert_allclose(again, made.validation, rtol=1e-4)


def test_a_twin_that_is_given_is_the_one_that_would_be_trained(planted, monkeypatch):
    data = (planted.maps[:160], planted.y[:160], np.arange(40))
    options, heads = {"patience": 4, "epochs": 12}, []
    twin = fit_semantic(*data, {**options, "warp": "none"}, guide=planted.maps[:160])
    alone = fit_semantic(*data, options, guide=planted.maps[:160])
    trained = semantic.trained_head
    monkeypatch.setattr(semantic, "trained_head", lambda head, *rest: heads.append(head) or trained(head, *rest))
    given = fit_semantic(*data, options, guide=planted.maps[:160], twin=twin)
    assert [head.options.warp for head in heads] == ["full"]
    for name, part in alone.trained.state.items():
        torch.testing.assert_close(given.trained.state[name], part, rtol=0, atol=0)


@pytest.mark.parametrize("warp", ["full", *NUMBERS, "scale+rotation", "shear+translation", "none"])
def test_training_starts_at_the_identity(planted, warp):
    maps = torch.as_tensor(planted.maps[:50]) - 2
    y = torch.as_tensor(planted.y[:50]).float()
    head, twin = SemanticHead({"warp": warp}), SemanticHead({"warp": "none"})
    state = head.start(maps, (y - y.mean(0)) / y.std(0), torch.Generator().manual_seed(0), maps)
    np.testing.assert_allclose(head(maps, state, guide=maps), twin(maps, state), rtol=1e-3, atol=1e-4)
    assert numbers(warp) == (0 if warp == "none" else state["turn"].shape[1])


def test_warps_are_what_they_are_called():
    """A blob right of the middle: shifted, turned by a quarter, doubled, sheared. θ maps where a mask is looked at to where it
    is read, so that the picture moves the other way."""
    at = torch.arange(21, dtype=torch.float64) / 10 - 1
    blob = lambda x, y, sx=0.25, sy=0.25: torch.exp(-(((at - x) / sx) ** 2)[None] / 2 - (((at - y) / sy) ** 2)[:, None] / 2)
    mask = blob(0.5 * 20 / 21, 0)[None]
    scale = 20 / 21  # pixel centres run to ±20/21 where edges are ±1
    cases = {
        ("translation", (0.5 * scale**2, 0.0)): blob(0.5 * scale - 0.5 * scale, 0),
        ("rotation", (np.pi / 2,)): blob(0, -0.5 * scale),
        ("scale", (np.log(0.5), np.log(0.5))): blob(scale, 0, 0.5, 0.5),
    }
    for (warp, raw), expected in cases.items():
        theta = thetas(torch.tensor(raw, dtype=torch.float64)[None, None], warp)
        np.testing.assert_allclose(warped(mask, theta)[0, 0], expected, atol=0.06)
    upright = thetas(torch.tensor([[[0.4, 0.0]]], dtype=torch.float64), "shear")
    np.testing.assert_allclose(upright[0, 0], [1, 0.4, 0, 0, 1, 0])
    assert thetas(torch.zeros(2, 3, 6), "full").tolist() == [[[1, 0, 0, 0, 1, 0]] * 3] * 2


def test_concordance_by_hand():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 30))
    error, discord = masked_losses(torch.as_tensor(a.reshape(5, 6)), torch.as_tensor(b.reshape(5, 6)))
    concordance = 2 * np.cov(a, b, ddof=0)[0, 1] / (a.var(ddof=1) + b.var(ddof=1) + (a.mean() - b.mean()) ** 2)
    assert float(error) == pytest.approx(((a - b) ** 2).mean())
    assert float(discord) == pytest.approx(1 - concordance)
    assert float(concordant(torch.as_tensor(b[:, None]), torch.as_tensor(b[:, None]))) == pytest.approx(1 / 30, abs=1e-6)
