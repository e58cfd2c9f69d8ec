"""Cores: a planted network is found again; who saw what; seeds; weights that are read back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from planted_cores import Planted, correlation, pictures, plant, ridge
from torch.nn import functional

from isocortex.encoding.cores.architecture import POOLING, Architecture, CoreNetwork, prepare
from isocortex.encoding.cores.frozen import fit_reader
from isocortex.encoding.cores.partition import Share, check_apart, partition
from isocortex.encoding.cores.together import Recipe, Trained, shuffle, train_all
from isocortex.encoding.cores.training import Seen, Training, train_core
from isocortex.encoding.cores.weights import load_core, save_cores
from isocortex.encoding.readouts.heads import HEADS
from isocortex.encoding.readouts.linear import fit_linear
from isocortex.errors import DataError, StoreError
from isocortex.features.sources.gabor import GaborPyramid

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"size": 12, "channels": [4, 6], "kernels": [3, 3], "strides": [2, 1], "epochs": 2, "batch": 16}


def split(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = np.arange(n)
    return rows[: int(0.64 * n)], rows[int(0.64 * n) : int(0.8 * n)], rows[int(0.8 * n) :]


def seen_of(planted: Planted) -> Seen:
    train, held, _ = split(len(planted.y))
    return Seen(np.arange(len(planted.y)), planted.y, train, held)


def trained(planted: Planted, readout: dict[str, Any], **options: Any) -> Trained:
    return train_all(planted.small, {"S1": seen_of(planted)}, Recipe.of({**SMALL, **options}, readout), CPU)


def energy(images: np.ndarray) -> np.ndarray:
    """Gabor energy and a grid of colours."""
    pyramid, found = GaborPyramid(8, 3), []
    pyramid.energy_color.register_forward_hook(lambda _module, _inputs, output: found.append(output))
    with torch.no_grad():
        pyramid(torch.as_tensor(images, dtype=torch.float32) / 255)
    return found[0].numpy().astype(np.float64)


def check_planted(planted: Planted, options: dict[str, Any], near: float) -> None:
    """The core beats ridge on pixels and on Gabor energy, comes near the ceiling, finds the places; shuffled it is at zero."""
    train, held, test = split(len(planted.y))
    found = trained(planted, {"gaussian": {}}, **options)
    made = np.mean([core.predict(planted.small[test]) for core in found.cores.networks], axis=0)
    r = np.median(correlation(made, planted.y[test]))
    ceiling = np.median(correlation(planted.clean[test], planted.y[test]))
    for features in (planted.small.reshape(len(planted.y), -1) / 255, energy(planted.small)):
        assert r > np.median(ridge(features, planted.y, train, held, test)) + 0.08
    assert r > near * ceiling
    control = correlation(found.control.predict(planted.small[test]), planted.y[test])
    # One r has a standard error of 1/√n; the neuroids of one network share much of it.
    assert abs(np.median(control)) < 2 / np.sqrt(len(test))
    fields = found.cores.networks[0].fields()
    assert np.median(np.hypot(fields.x - planted.places[:, 0], fields.y - planted.places[:, 1])) < 0.08


def test_a_planted_network_is_found() -> None:
    options = {"size": 16, "channels": [12], "kernels": [5], "strides": [2], "epochs": 30, "batch": 32, "separable": False}
    check_planted(plant(600, 16, 12), {**options, "learning_rate": 0.02, "patience": 3, "seeds": 2}, near=0.85)


@pytest.mark.slow
def test_a_planted_network_is_found_with_more_stimuli() -> None:
    options = {"size": 24, "channels": [16, 16], "kernels": [5, 3], "strides": [2, 1], "epochs": 60, "batch": 32}
    check_planted(plant(1500, 24, 24), {**options, "learning_rate": 0.01, "separable": False, "seeds": 3}, near=0.93)


def test_equal_seeds_give_equal_networks_and_others_do_not() -> None:
    planted = plant(60, 12, 3)
    once, again = (trained(planted, {"gaussian": {}}, seeds=2, dropout=0.2, shift=1) for _ in range(2))
    state = torch.random.get_rng_state()
    made = [[core.predict(planted.small) for core in one.cores.networks] for one in (once, again)]
    for a, b in zip(*made, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(once.histories[1].validation, again.histories[1].validation)
    assert not np.allclose(made[0][0], made[0][1])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_kept_state_is_that_of_the_least_validation_error() -> None:
    planted = plant(80, 12, 4)
    plan, training = Architecture.of(SMALL), Training.of({**SMALL, "epochs": 8, "learning_rate": 0.05, "patience": 2})
    seen = seen_of(planted)
    core, history = train_core(planted.small, [seen], plan, training, HEADS["factorized"]({}), 0, CPU)
    assert history.best == np.argmin(history.validation)
    y = planted.y[seen.validation]
    scale = planted.y[seen.train].std(0)
    error = (((core.predict(planted.small[seen.validation]) - y) / scale) ** 2).mean()
    assert error == pytest.approx(history.validation[history.best], rel=1e-4)
    assert (np.diff(history.rate) <= 0).all()
    assert history.rate[0] == pytest.approx(0.05)


def test_the_rate_falls_and_training_ends_where_nothing_is_gained() -> None:
    planted = plant(60, 12, 2)
    options = {**SMALL, "epochs": 100, "patience": 1, "drops": 2, "learning_rate": 0.2}
    noise = Seen(np.arange(60), np.random.default_rng(3).normal(size=(60, 2)), *split(60)[:2])
    _, history = train_core(
        planted.small, [noise], Architecture.of(SMALL), Training.of(options), HEADS["factorized"]({}), 0, CPU
    )
    assert len(history.train) < 100
    assert len(np.unique(history.rate)) == 3


def test_each_neuroid_counts_alike_and_sees_its_own_subjects_stimuli_only() -> None:
    """The loss is that of a loop over subjects; what others answered changes no other subject's part of it."""
    planted, rng = plant(60, 12, 5), np.random.default_rng(0)
    first = Seen(np.arange(40), planted.y[:40, :2], np.arange(24), np.arange(24, 32))
    second = Seen(np.arange(20, 60), planted.y[20:, 2:], np.arange(20, 36), np.arange(4, 12))
    # Stimuli 20-35 train the second subject, 24-31 stop both; no image does both.
    second = Seen(second.images, second.y, np.array([0, 1, 2, 3, *range(12, 36)]), second.validation)
    plan = Architecture.of({**SMALL, "normalize": False})
    training = Training.of({**SMALL, "epochs": 1, "batch": 4096})
    core, history = train_core(planted.small, [first, second], plan, training, HEADS["factorized"]({}), 0, CPU)
    errors = []
    for place, part in enumerate((first, second)):
        made = core.predict(planted.small[part.images[part.validation]], place)
        errors += [*(((made - part.y[part.validation]) / part.y[part.train].std(0)) ** 2).mean(0)]
    assert history.validation[0] == pytest.approx(np.mean(errors), rel=1e-4)
    before, _ = train_core(planted.small, [first], plan, training, HEADS["factorized"]({}), 0, CPU)
    start = before.predict(planted.small[:5])
    other = Seen(first.images, first.y.copy(), first.train, first.validation)
    other.y[32:] = rng.normal(size=(8, 2)) * 100  # answers that neither train nor stop the training
    after, _ = train_core(planted.small, [other], plan, training, HEADS["factorized"]({}), 0, CPU)
    np.testing.assert_array_equal(after.predict(planted.small[:5]), start)


def test_batches_may_hold_nothing_that_a_subject_saw() -> None:
    planted = plant(60, 12, 3)
    apart = {
        "S1": Seen(np.arange(40), planted.y[:40], np.arange(30), np.arange(30, 40)),
        "S2": Seen(np.arange(40, 60), planted.y[40:], np.arange(15), np.arange(15, 20)),
    }
    found = train_all(planted.small, apart, Recipe.of({**SMALL, "batch": 2, "seeds": 1}, {"factorized": {}}), CPU)
    assert np.isfinite([found.histories[0].train, found.histories[0].validation]).all()


def test_a_constant_neuroid_is_missing_and_disturbs_no_other() -> None:
    planted = plant(60, 12, 3)
    plain = trained(planted, {"factorized": {}}, seeds=1).cores.networks[0].predict(planted.small)
    flat = Planted(planted.images, planted.clean, np.c_[planted.y[:, :2], np.full(60, 2.0)], planted.places)
    core = trained(flat, {"factorized": {}}, seeds=1).cores.networks[0]
    made = core.predict(planted.small)
    assert np.isnan(made[:, 2]).all()
    assert np.isfinite(made[:, :2]).all()
    assert np.isfinite(plain).all()
    assert np.isnan(core.masks()[2]).all()
    assert np.isnan([core.fields().x[2], core.fields().size[2]]).all()


def test_counts_have_positive_rates() -> None:
    planted = plant(80, 12, 3)
    counts = Planted(planted.images, planted.clean, np.random.default_rng(0).poisson(np.exp(planted.clean)), planted.places)
    made = trained(counts, {"gaussian": {}}, seeds=1, loss="poisson", epochs=4).cores.networks[0].predict(planted.small)
    assert (made > 0).all()
    assert np.median(correlation(made, planted.clean)) > 0
    with pytest.raises(DataError, match="loss poisson, found negative responses, expected counts; use loss: mse"):
        trained(planted, {"gaussian": {}}, seeds=1, loss="poisson")


@pytest.mark.parametrize("readout", ["linear", "factorized", "gaussian", "fwrf", "semantic"])
def test_predictions_of_every_readout_are_read_back(tmp_path: Any, readout: str) -> None:
    planted = plant(60, 12, 4)
    halves = {
        "S1": Seen(np.arange(60), planted.y[:, :3], *split(60)[:2]),
        "S2": Seen(np.arange(60), np.c_[planted.y[:, 3:], np.ones(60)], *split(60)[:2]),
    }
    found = train_all(planted.small, halves, Recipe.of({**SMALL, "seeds": 2}, {readout: {}}), CPU)
    save_cores(tmp_path / "core.npz", found.cores)
    again = load_core(tmp_path / "core.npz")
    assert dict(again.subjects) == {"S1": 3, "S2": 2}
    for place, name in enumerate(halves):
        direct = np.mean([core.predict(planted.small[:7], place) for core in found.cores.networks], axis=0)
        np.testing.assert_array_equal(again.predict(list(planted.images[:7]), name), direct)
        assert np.isfinite(direct[:, : 3 if name == "S1" else 1]).all()
        np.testing.assert_array_equal(again.networks[1].masks(place), found.cores.networks[1].masks(place))
    assert np.isnan(again.predict(list(planted.images[:2]), "S2")[:, 1]).all()
    with np.load(tmp_path / "core.npz", allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)
    with pytest.raises(KeyError, match="found subject 'S3', expected one of S1, S2"):
        again.predict(list(planted.images[:2]), "S3")


def test_a_closed_form_is_fitted_on_the_trained_maps() -> None:
    """Ridge on the maps that the core ends with, its penalty chosen on the validation stimuli."""
    planted = plant(100, 12, 3)
    core: Any = trained(planted, {"linear": {"alphas": [1.0, 10.0, 100.0]}}, seeds=1).cores.networks[0]
    train, held, test = split(100)
    maps = torch.cat(list(core.core.batches(planted.small))).flatten(1).double().numpy()
    fitted = np.concatenate([train, held])
    mean, scale = maps[fitted].mean(0), maps[fitted].std(0)
    z = (maps - mean) / np.where(scale > 0, scale, np.inf)

    def at(rows: np.ndarray, other: np.ndarray, alpha: float) -> np.ndarray:
        a, b, centre = z[rows] - z[rows].mean(0), z[other] - z[rows].mean(0), planted.y[rows].mean(0)
        return b @ a.T @ np.linalg.solve(a @ a.T + alpha * np.eye(len(rows)), planted.y[rows] - centre) + centre

    alphas = (1.0, 10.0, 100.0)
    best = np.argmin([np.square(at(train, held, alpha) - planted.y[held]).mean(0) for alpha in alphas], axis=0)
    expected = np.stack([at(fitted, test, alpha) for alpha in alphas])[best, :, np.arange(3)].T
    np.testing.assert_allclose(core.predict(planted.small[test]), expected, atol=2e-3)


def test_a_linear_readout_of_more_neuroids_than_stimuli() -> None:
    """The fit keeps no weights there; those that are written give its predictions."""
    rng = np.random.default_rng(0)
    maps, y = torch.as_tensor(rng.normal(size=(30, 3, 4, 4)), dtype=torch.float32), rng.normal(size=(30, 50))
    rows = np.arange(24, 30)
    reader, fit = fit_reader("linear", maps, y, rows, {}, CPU), fit_linear(maps, torch.as_tensor(y), rows)
    assert fit.weights is None
    np.testing.assert_allclose(reader.predict(maps).numpy(), fit.predict(maps).numpy(), atol=1e-4)


def test_files_that_are_no_core_are_refused(tmp_path: Any) -> None:
    with pytest.raises(StoreError, match=r"none\.npz: missing; make it with: snakemake"):
        load_core(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(StoreError, match=r"other\.npz: not readable as a core .*; delete it and run again"):
        load_core(tmp_path / "other.npz")


# --- who is trained on what ---


def test_no_picture_is_trained_for_one_and_tested_for_another() -> None:
    names = [f"d{k}" for k in range(12)]
    first = {"train": [0, 1, 2, 3, 4, 5, 6, 7], "test": [8, 9, 10, 11], "inner": [[6, 7], [0, 1]]}
    # The same pictures in another order and under other names: row k shows picture 11 − k.
    second = {"train": [2, 3, 4, 5, 6, 7, 8, 9, 10], "test": [0, 1, 11], "inner": [[2, 5]]}
    shares = partition({"S1": names, "S2": names[::-1]}, {"S1": first, "S2": second})
    tested = {"d8", "d9", "d10", "d11", "d0"}
    stopping = {"d6", "d7"}  # d9 and d6 of the second; d9 is tested in the first
    assert {names[k] for k in shares["S1"].train} == {"d1", "d2", "d3", "d4", "d5"}
    assert {names[k] for k in shares["S1"].validation} == stopping
    assert {names[::-1][k] for k in shares["S2"].train} == {"d1", "d2", "d3", "d4", "d5"}
    assert {names[::-1][k] for k in shares["S2"].validation} == stopping
    assert not tested & {names[k] for share in (shares["S1"],) for k in [*share.train, *share.validation]}
    assert (shares["S1"].left_out, shares["S2"].left_out) == (1, 2)
    assert shares["S1"].test.tolist() == [8, 9, 10, 11]


def test_a_picture_under_two_names_is_one() -> None:
    own = ["a", "b", "c", "d", "b", "e"]
    share = partition({"S1": own}, {"S1": {"train": [0, 1, 2, 3], "test": [4, 5], "inner": [[3]]}})["S1"]
    assert (share.train.tolist(), share.validation.tolist(), share.left_out) == ([0, 2], [3], 1)


def test_partitions_that_cannot_be_are_refused() -> None:
    outer = {"S1": {"train": [0, 1], "test": [2], "inner": [[1]]}}
    with pytest.raises(DataError, match="subject S1: found 1 stimuli without image, expected images"):
        partition({"S1": ["a", "", "c"]}, outer)
    with pytest.raises(DataError, match="subject S1: found 0 training and 1 validation stimuli that no subject is tested on"):
        partition({"S1": ["a", "b", "a"]}, outer)
    with pytest.raises(DataError, match="found 1 images in two of training, validation and test, expected none"):
        check_apart({"S1": ["a", "b", "a"]}, {"S1": Share(np.array([0]), np.array([1]), np.array([2]), 0)})


def test_shuffled_responses_keep_stimuli_apart() -> None:
    part = Seen(np.arange(10), np.arange(20.0).reshape(10, 2), np.arange(6), np.arange(6, 8))
    mixed = shuffle(part, 0)
    assert sorted(mixed.y[:6, 0]) == sorted(part.y[:6, 0])
    np.testing.assert_array_equal(mixed.y[8:], part.y[8:])
    np.testing.assert_array_equal(mixed.y[:, 1] - mixed.y[:, 0], np.ones(10))
    assert (mixed.y[:6] != part.y[:6]).any()


# --- the network ---


@pytest.mark.parametrize("pooling", POOLING)
@pytest.mark.parametrize("size", [12, 13, 15])
def test_maps_have_the_extent_that_is_said(pooling: str, size: int) -> None:
    network = CoreNetwork(Architecture.of({**SMALL, "size": size, "strides": [2, 3], "pooling": pooling, "color": False}))
    maps = network(torch.zeros(2, 1, size, size, dtype=torch.uint8))
    assert maps.shape == (2, 6, *network.extent)
    assert maps.is_contiguous()


def test_images_are_brought_to_zero_mean_and_unit_variance() -> None:
    images = torch.as_tensor(plant(20, 12, 1).small)
    network = CoreNetwork(Architecture.of(SMALL))
    network.measure(images)
    np.testing.assert_allclose(network.mean.numpy(), images.double().mean((0, 2, 3)).numpy(), rtol=1e-6)
    np.testing.assert_allclose(network.scale.numpy(), images.double().std((0, 2, 3), correction=0).numpy(), rtol=1e-6)


def test_roughness_is_that_of_a_loop() -> None:
    network = CoreNetwork(Architecture.of(SMALL))
    stencil, total, filters = (
        np.array([[0.25, 0.5, 0.25], [0.5, -3, 0.5], [0.25, 0.5, 0.25]]),
        0.0,
        network.first.detach().numpy(),
    )
    for plane in filters.reshape(-1, 3, 3):
        padded = np.pad(plane.astype(np.float64), 1)
        for y in range(3):
            for x in range(3):
                total += float((padded[y : y + 3, x : x + 3] * stencil).sum()) ** 2
    assert float(network.roughness().detach()) == pytest.approx(total / np.square(filters).sum(), rel=1e-5)


def test_smoothness_makes_first_filters_smoother() -> None:
    planted = plant(80, 12, 4)
    rough, smooth = (
        trained(planted, {"factorized": {}}, seeds=1, epochs=6, smoothness=weight).cores.networks[0] for weight in (0.0, 3.0)
    )
    values = [float(core.network.roughness().detach()) for core in (rough, smooth)]  # type: ignore[union-attr]
    assert values[1] < values[0]


def test_pictures_are_made_small_with_antialiasing() -> None:
    image = pictures(1, 24)[0]
    np.testing.assert_array_equal(prepare(image, 24, color=True), image.transpose(2, 0, 1))
    grey = prepare(image, 24, color=False)
    np.testing.assert_allclose(grey[0], image @ [0.299, 0.587, 0.114], atol=0.51)
    light = torch.as_tensor(image.transpose(2, 0, 1)[None]).float()
    expected = functional.interpolate(light, (9, 9), mode="bilinear", antialias=True)[0]
    np.testing.assert_allclose(prepare(image, 9, color=True), expected, atol=0.51)


BAD = [
    ({"channels": [4]}, "found channels [4], kernels [3, 3], strides [2, 1], expected as many of each and odd kernels"),
    ({"kernels": [3, 4]}, "expected as many of each and odd kernels"),
    ({"pooling": "min"}, "core: pooling, found 'min', expected one of stride, mean, max"),
    ({"nonlinearity": "tanh"}, "core: nonlinearity, found 'tanh', expected one of relu, elu, softplus"),
    ({"loss": "mae"}, "core: loss, found 'mae', expected one of mse, poisson"),
]


@pytest.mark.parametrize(("options", "text"), BAD)
def test_options_that_make_no_core(options: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError) as caught:
        Recipe.of({**SMALL, **options}, {"factorized": {}})
    assert text in str(caught.value)


def test_data_that_make_no_core() -> None:
    planted = plant(30, 12, 2)
    plan, training, head = Architecture.of(SMALL), Training.of(SMALL), HEADS["factorized"]({})
    rows = np.arange(30)
    for part, text in (
        (Seen(rows, planted.y, rows[:20], rows[19:]), "found stimuli that are trained and validated, expected none in both"),
        (Seen(rows + 1, planted.y, rows[:20], rows[20:]), "found 30 images, 30 stimuli and responses"),
        (Seen(rows, planted.y, rows[:20], rows[:0]), "found 20 training and 0 validation stimuli, expected some of both"),
    ):
        with pytest.raises(DataError, match=text):
            train_core(planted.small, [part], plan, training, head, 0, CPU)
    with pytest.raises(DataError, match="found readout 'pls', expected one of"):
        Recipe.of(SMALL, {"pls": {}})
