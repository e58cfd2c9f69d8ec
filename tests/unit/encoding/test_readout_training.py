"""The trainer: no neuroid depends on its company, finished ones leave, bfloat16 ends near float32, order does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.readouts import training
from isocortex.encoding.readouts.adam import Adam
from isocortex.encoding.readouts.factorized import fit_factorized
from isocortex.encoding.readouts.gaussian import fit_gaussian
from isocortex.encoding.readouts.head_factorized import FactorizedHead
from isocortex.encoding.readouts.maps import Maps
from isocortex.encoding.readouts.sampling import column_keys, normal_noise
from isocortex.encoding.readouts.semantic import fit_semantic
from isocortex.encoding.readouts.training import Samples, Settings, mean_squares, sum_of_squares, train
from isocortex.encoding.scores import pearson

VALIDATION = np.arange(40)


@pytest.mark.parametrize("fit", [fit_factorized, fit_gaussian])
def test_a_subset_of_neuroids_gives_the_same_numbers(planted, fit):
    """Also to the end, when every neuroid has stopped at an epoch of its own."""
    maps, y = planted.maps[:200], planted.y[:200]
    some = [7, 2, 4]
    options = {"patience": 3, "epochs": 80}
    together, alone = (fit(maps, part, VALIDATION, options) for part in (y, y[:, some]))
    scale = planted.y.std()
    np.testing.assert_allclose(alone.validation, together.validation[:, some], atol=2e-3 * scale)
    np.testing.assert_allclose(alone.predict(maps), together.predict(maps)[:, some], atol=2e-3 * scale)
    np.testing.assert_allclose(alone.masks, together.masks[some], atol=2e-3)
    assert alone.epochs <= together.epochs < 80


def test_the_trainer_is_adam(planted):
    """With one batch per epoch and no falling rate: torch's Adam on the same loss, neuroid by neuroid."""
    maps = torch.as_tensor(planted.maps[:60]) - 2
    y = torch.as_tensor(planted.y[:60]).float()
    y = (y - y.mean(0)) / y.std(0)
    head = FactorizedHead({"l2": 0.01})
    settings = Settings(0.02, 6, 60, 10, "float32", 0, 0.0, sum_of_squares)
    samples = Samples(Maps(maps), y)
    made = train(head, samples, samples, settings)
    for neuroid in (0, 5):
        one = y[:, neuroid : neuroid + 1]
        state = head.start(maps, one, torch.Generator())
        optimizer = torch.optim.Adam([part.requires_grad_(True) for part in state.values()], lr=0.02)
        errors = []
        for _ in range(6):
            optimizer.zero_grad()
            (mean_squares(head(maps, state), one).sum() + head.penalty(state).sum()).backward()
            optimizer.step()
            errors.append(float(mean_squares(head(maps, state), one).detach()))
        assert float(made.loss[neuroid]) == pytest.approx(min(errors), rel=1e-4)


def test_finished_neuroids_leave_and_the_best_state_stays(planted, monkeypatch):
    """One neuroid is noise and is done early; the widths of the steps say so. What is kept is the epoch of least error."""
    y = planted.y[:200].copy()
    y[:, 0] = np.random.default_rng(1).normal(size=200)
    widths, losses = [], []
    step, update = Adam.step, training._Best.update

    def watched_step(self, gradients):
        widths.append(len(self.rates))
        step(self, gradients)

    def watched_update(self, state, loss, adam):
        losses.append(dict(zip(self.active.tolist(), loss.tolist(), strict=True)))
        return update(self, state, loss, adam)

    monkeypatch.setattr(Adam, "step", watched_step)
    monkeypatch.setattr(training._Best, "update", watched_update)
    made = fit_factorized(planted.maps[:200], y, VALIDATION, {"patience": 3})
    assert widths[0] == y.shape[1]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) > 2
    assert 0 not in losses[-1]
    for neuroid in range(y.shape[1]):
        least = min(epoch[neuroid] for epoch in losses if neuroid in epoch)
        assert made.loss[neuroid] == pytest.approx(least, rel=1e-4)


@pytest.mark.parametrize(
    ("fit", "options"), [(fit_factorized, {}), (fit_gaussian, {}), (fit_semantic, {"warp": "translation", "nested": False})]
)
def test_mixed_precision_ends_near_float32(planted, fit, options):
    maps, y = planted.maps[:200], planted.y[:200]
    single, mixed = (
        fit(maps, y, VALIDATION, {**options, "epochs": 25, "precision": precision}, guide=maps)
        for precision in ("float32", "mixed")
    )
    assert not np.array_equal(single.validation, mixed.validation)
    late = planted.maps[200:]
    ours, theirs = (pearson(made.predict(late, late), planted.clean[200:]) for made in (single, mixed))
    assert np.abs(np.median(ours) - np.median(theirs)) < 0.02
    assert single.loss.mean() == pytest.approx(mixed.loss.mean(), rel=0.05)


def test_same_seed_same_fit(planted):
    maps, y = planted.maps[:80], planted.y[:80]
    first, second, other = (fit_gaussian(maps, y, VALIDATION, {"epochs": 3, "seed": seed}) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.validation, second.validation)
    assert not np.array_equal(first.validation, other.validation)


def test_windows_hold_every_stimulus_once_in_an_order_of_their_own():
    generator = torch.Generator().manual_seed(0)
    epochs = [list(training._windows(1000, 256, generator)) for _ in range(2)]
    for windows in epochs:
        assert [len(rows) for rows in windows] == [256, 256, 256, 232]
        assert sorted(torch.cat(windows).tolist()) == list(range(1000))
    assert not torch.equal(epochs[0][0].sort().values, epochs[1][0].sort().values)
    assert len((epochs[0][0] // training.STRETCH).unique()) <= 5  # few stretches: storage is read in large pieces


def test_maps_that_do_not_fit_the_memory_give_the_same(planted, monkeypatch):
    monkeypatch.setattr(training, "WINDOW_BYTES", 90 * planted.maps[0].nbytes)
    held = fit_factorized(planted.maps[:200], planted.y[:200], VALIDATION, {"epochs": 4})
    monkeypatch.setattr("isocortex.encoding.readouts.maps.budget_bytes", lambda device: 1000)
    read = fit_factorized(planted.maps[:200], planted.y[:200], VALIDATION, {"epochs": 4})
    np.testing.assert_allclose(read.validation, held.validation, rtol=1e-5)


def test_noise_is_normal_and_each_neuroids_own():
    y = torch.randn(50, 400, generator=torch.Generator().manual_seed(0))
    keys = column_keys(y)
    assert len(keys.unique()) == 400
    assert torch.equal(column_keys(y[:, [3, 1]]), keys[[3, 1]])
    noise = normal_noise(keys, 300, torch.Generator().manual_seed(1)).double()
    assert torch.equal(normal_noise(keys[[9]], 300, torch.Generator().manual_seed(1)).double(), noise[:, [9]])
    flat = noise.reshape(-1, 2)
    assert abs(float(flat.mean())) < 0.01
    assert abs(float(flat.var()) - 1) < 0.01
    assert abs(float((flat**4).mean()) - 3) < 0.06
    assert abs(float(torch.corrcoef(flat.T)[0, 1])) < 0.01
    across = torch.corrcoef(noise[:, :20, 0].T) - torch.eye(20)
    assert float(across.abs().max()) < 0.25  # 300 draws: .058 of sd
    shifted = torch.corrcoef(torch.stack([noise[:-1, :, 0].flatten(), noise[1:, :, 0].flatten()]))
    assert abs(float(shifted[0, 1])) < 0.015
