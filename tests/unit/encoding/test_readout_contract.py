"""What all readouts keep to: shapes, kinds of arrays, neuroids that cannot be fitted, rows in any order, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding import READOUTS
from isocortex.encoding.readouts.heads import HEADS
from isocortex.encoding.readouts.maps import Maps
from isocortex.encoding.scores import pearson
from isocortex.errors import DataError
from isocortex.stages.encode import bind

OPTIONS = {"linear": {}, "factorized": {"epochs": 15}, "gaussian": {"epochs": 15}, "fwrf": {}, "semantic": {"epochs": 15}}
VALIDATION = np.array([41, 3, 7, 99, 12, 60, 61, 62, 63, 64, 65, 66, 20, 21, 22, 23])
N = 120


def fit(name, planted, maps=None, y=None, guide=None, **options):
    maps = planted.maps[:N] if maps is None else maps
    y = planted.y[:N] if y is None else y
    guide = planted.maps[:N] if guide is None else guide
    return bind(READOUTS, name)(maps, y, VALIDATION, {**OPTIONS[name], **options}, guide=guide)


def arrays(made):
    return [made.validation, made.masks, made.fields.x, made.fields.y, made.fields.size, made.alphas, made.loss]


@pytest.mark.parametrize("name", READOUTS)
def test_shapes_and_meaning(planted, name):
    made = fit(name, planted)
    v = planted.y.shape[1]
    expected = [(len(VALIDATION), v), (v, planted.size, planted.size), *[(v,)] * 5]
    assert [part.shape for part in arrays(made)] == expected
    assert all(isinstance(part, np.ndarray) for part in arrays(made))
    np.testing.assert_allclose(np.linalg.norm(made.masks.reshape(v, -1), axis=1), 1, rtol=1e-4)
    predicted = made.predict(planted.maps[N:200], planted.maps[N:200])
    assert predicted.shape == (200 - N, v)
    assert np.median(pearson(predicted, planted.clean[N:200])) > 0.5
    # The loss is the error of the validation predictions, in units of the training variance.
    inside = np.setdiff1d(np.arange(N), VALIDATION)
    error = ((made.validation - planted.y[VALIDATION]) ** 2).mean(0) / planted.y[inside].var(0)
    np.testing.assert_allclose(made.loss, error, rtol=2e-3)
    assert np.isnan(made.alphas).all() == (name in ("factorized", "gaussian", "semantic"))
    assert (made.epochs == 0) == (name in ("linear", "fwrf"))
    assert (np.abs(np.stack([made.fields.x, made.fields.y])) <= 0.55).all()


@pytest.mark.parametrize("name", READOUTS)
def test_a_trained_validation_is_a_prediction_and_a_refitted_one_is_not(planted, name):
    """Closed forms are fitted once more with the validation rows; what `validation` says is from before that."""
    made = fit(name, planted)
    again = made.predict(planted.maps[VALIDATION], planted.maps[VALIDATION])
    same = np.allclose(again, made.validation, rtol=1e-4)
    assert same == (name in ("factorized", "gaussian", "semantic"))
    if not same:
        refitted = ((again - planted.y[VALIDATION]) ** 2).mean()
        assert refitted < ((made.validation - planted.y[VALIDATION]) ** 2).mean()


class Stored:
    """What is read by rows, in their own order, as a Zarr array is; `asked` counts them."""

    def __init__(self, values):
        self.values, self.shape, self.asked = values.astype("f2"), values.shape, 0

    @property
    def oindex(self):
        return self

    def __getitem__(self, rows):
        assert (np.diff(rows) > 0).all()
        self.asked += len(rows)
        return self.values[rows]


@pytest.mark.parametrize("name", READOUTS)
def test_numpy_torch_and_storage_give_the_same(planted, name, monkeypatch):
    half = planted.maps[:N].astype("f2").astype("f4")
    first = fit(name, planted, half, guide=half)
    tensor = fit(name, planted, torch.as_tensor(half), guide=torch.as_tensor(half))
    assert all(isinstance(part, torch.Tensor) for part in arrays(tensor))
    stored = Stored(planted.maps[:N])
    monkeypatch.setattr("isocortex.encoding.readouts.maps.budget_bytes", lambda device: 1000)  # nothing is held
    monkeypatch.setattr("isocortex.encoding.readouts.maps.PIECE_BYTES", 40 * 4 * half[0].size)
    read = fit(name, planted, stored, guide=half)
    assert stored.asked > 2 * N
    for others, tolerance in ((tensor, 1e-6), (read, 1e-3)):
        for ours, theirs in zip(arrays(first), arrays(others), strict=True):
            scale = np.nanstd(ours) if np.isfinite(ours).any() else 1.0
            np.testing.assert_allclose(
                theirs.numpy() if isinstance(theirs, torch.Tensor) else theirs, ours, atol=tolerance * scale
            )
    late = planted.maps[N:]
    np.testing.assert_allclose(
        first.predict(late, late), tensor.predict(torch.as_tensor(late), torch.as_tensor(late)), rtol=1e-4
    )


@pytest.mark.parametrize("name", READOUTS)
def test_neuroids_and_channels_without_variance(planted, name):
    maps, y = planted.maps[:N].copy(), planted.y[:N].copy()
    y[:, 2], y[:, 5] = 1.0, np.nan
    y[3, 4] = np.nan
    maps[:, 1] = 5.0
    made = fit(name, planted, maps, y)
    left_out = [2, 5] if name == "semantic" else [2, 4, 5]  # single missing responses are left out of the transformer's loss
    predicted = made.predict(maps, maps)
    for part in (made.loss, made.fields.x, made.masks[:, 0, 0], made.validation[0], predicted[0]):
        assert np.flatnonzero(np.isnan(part)).tolist() == left_out
    changed = maps.copy()
    changed[:, 1] = -3.0  # a channel that never varied says nothing
    np.testing.assert_allclose(made.predict(changed, maps), predicted, rtol=1e-4)
    nothing = fit(name, planted, maps, np.full_like(y, np.nan))
    assert np.isnan(nothing.loss).all()
    assert np.isnan(nothing.predict(maps, maps)).all()
    assert nothing.masks.shape == made.masks.shape


@pytest.mark.parametrize("name", READOUTS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": np.zeros((N, 3))}, r"found maps \(120, 3\), expected \(stimuli, channels, y, x\)"),
        ({"y": np.zeros((7, 2))}, r"found maps of 120 stimuli and responses \(7, 2\)"),
        ({"maps": np.full((N, 2, 3, 3), np.nan)}, "found NaN or infinity in the feature maps"),
        ({"validation": []}, "found 0 validation rows for 120 stimuli"),
        ({"validation": [4, 4]}, "expected some indices below 120, each once"),
        ({"validation": [120]}, "use fewer inner folds or more stimuli"),
        ({"validation": np.arange(119)}, "2 stimuli or more beside them"),
        ({"options": {"speed": 1}}, "found option 'speed', expected some of"),
    ],
)
def test_refusals(planted, name, change, message):
    given = {"maps": planted.maps[:N], "y": planted.y[:N], "validation": [0, 1], "options": {}, **change}
    maps, y, validation, options = given.values()
    with pytest.raises(DataError, match=message):
        bind(READOUTS, name)(maps, y, validation, options, guide=planted.maps[:N])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("factorized", {"epochs": 0}, "readout factorized: epochs, found 0: input should be greater than or equal to 1"),
        (
            "gaussian",
            {"covariance": "round"},
            "readout gaussian: covariance, found 'round': input should be 'full', 'isotropic'",
        ),
        ("semantic", {"warp": "translation+spin"}, "readout semantic: warp, found 'translation.spin'.*joined by"),
        ("linear", {"alphas": []}, "readout linear: alphas"),
        ("fwrf", {"largest": -1.0}, "readout fwrf: largest, found -1.0"),
    ],
)
def test_options_out_of_range(planted, name, options, message):
    with pytest.raises(DataError, match=message):
        fit(name, planted, **options)


def test_the_localiser_needs_maps_to_look_at(planted):
    train = bind(READOUTS, "semantic")
    with pytest.raises(DataError, match="found no guide, expected the maps that its localiser looks at"):
        train(planted.maps[:N], planted.y[:N], VALIDATION)
    with pytest.raises(DataError, match="found 30 stimuli in the guide and 120 in the maps"):
        train(planted.maps[:N], planted.y[:N], VALIDATION, guide=planted.maps[:30])
    made = fit("semantic", planted, epochs=2)
    with pytest.raises(DataError, match="found no guide"):
        made.predict(planted.maps)
    twin = train(planted.maps[:N], planted.y[:N], VALIDATION, {"warp": "none", "epochs": 2})
    assert twin.predict(planted.maps).shape == planted.y.shape


@pytest.mark.parametrize("name", HEADS)
def test_heads_are_differentiable_in_their_state_and_in_the_maps(planted, name):
    generator = torch.Generator().manual_seed(0)
    maps = torch.as_tensor(planted.maps[:40]).double()
    maps = (maps - maps.mean()) / maps.std()
    y = torch.as_tensor(planted.y[:40])
    y = (y - y.mean(0)) / y.std(0)
    head = HEADS[name]({})
    state = head.start(maps, y, generator, maps)
    v = y.shape[1]
    assert {len(part) for key, part in state.items() if not key.startswith("shared.")} == {v}
    for part in state.values():
        if part.is_floating_point():
            part.add_(0.01 * torch.randn(part.shape, generator=generator, dtype=part.dtype)).requires_grad_(True)
    with torch.no_grad():
        head.project(state)
    inputs = maps.clone().requires_grad_(True)
    predicted = head(inputs, state, generator=generator, guide=maps)
    assert predicted.shape == (40, v)
    assert head.penalty(state).shape == (v,)
    found = torch.autograd.grad(predicted.square().sum(), [inputs, state["bias"]])
    assert all(bool(part.abs().sum() > 0) for part in found)
    size = (planted.size, planted.size)
    detached = {key: part.detach() for key, part in state.items()}
    assert head.masks(detached, size).shape == (v, *size)
    assert head.fields(detached, size).x.shape == (v,)


def test_maps_of_maps(planted):
    maps = Maps(planted.maps)
    some = maps.take([9, 3, 5]).take(np.array([2, 0]))
    np.testing.assert_array_equal(some.read(), planted.maps[[5, 9]])
    np.testing.assert_array_equal(some.read([1]), planted.maps[[9]])
    mean, spread = maps.moments()
    np.testing.assert_allclose(mean, planted.maps.mean((0, 2, 3), dtype=float), rtol=1e-6)
    np.testing.assert_allclose(spread, planted.maps.std((0, 2, 3), dtype=float), rtol=1e-5)
    wide = Maps(planted.maps[:, :, :1, :1]).standardized(mean, spread)  # more channels than pixels
    assert wide.last
    np.testing.assert_allclose(wide.read(slice(2, 4)).mean(), ((planted.maps[2:4, :, :1, :1] - 2) / 1).mean(), atol=0.2)
