from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from isocortex.errors import DataError, StudyError
from isocortex.features.model import Context
from isocortex.features.network import NetworkModel
from isocortex.features.preparing import IMAGENET_MEAN, IMAGENET_SD
from isocortex.features.sources import build

HERE = Path(__file__).parent
IMAGES = list(np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8))


def model(function: str = "small", layers: tuple[str, ...] = ("stem.conv",), **entry) -> NetworkModel:
    entry = {"source": "callable", "call": f"networks_for_tests.py:{function}", "layers": list(layers), **entry}
    built = build(entry, Context(entry.pop("root", HERE), HERE, model="m"))
    assert isinstance(built, NetworkModel)
    return built


def features(built: NetworkModel, layer: str, maps: tuple[str, ...] = ()) -> np.ndarray:
    return np.concatenate([batch[layer]["activation"] for batch in built.features(IMAGES, [layer], maps)])


def test_all_layers_come_from_one_pass_per_batch():
    built = model(layers=("stem.conv", "stem.relu", "head"), batch=2)
    batches = list(built.features(IMAGES, built.layers))
    assert [len(batch["head"]["activation"]) for batch in batches] == [2, 2, 1]
    assert built._module.passes == 3
    assert {layer: values["activation"].shape[1] for layer, values in batches[0].items()} == {
        "stem.conv": 64,
        "stem.relu": 64,
        "head": 2,
    }


def test_a_layer_before_one_that_works_in_place_keeps_its_values():
    built = model(layers=("stem.norm", "stem.relu"))
    (batch,) = built.features(IMAGES, built.layers)
    before, after = batch["stem.norm"]["activation"], batch["stem.relu"]["activation"]
    assert before.min() < 0
    np.testing.assert_array_equal(np.maximum(before, 0), after)


def test_the_module_is_as_it_was_and_has_no_hooks():
    built = model(layers=("stem.norm", "head"))
    before = {name: value.clone() for name, value in built._module.state_dict().items()}
    features(built, "stem.norm")
    with pytest.raises(StudyError):
        list(built.features(IMAGES, ["unused"]))
    for name, value in built._module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert not any(module._forward_hooks for module in built._module.modules())
    assert not built._module.training


def test_the_default_preparation_is_that_of_imagenet_and_a_module_may_bring_its_own():
    seen = {}
    for name, entry in {"default": {}, "unit": {"preprocess": "unit"}}.items():
        built = model(**entry)
        seen[name] = built.prepare(IMAGES[0]).arguments["images"].numpy()
    unit = IMAGES[0].transpose(2, 0, 1) / 255
    np.testing.assert_allclose(seen["unit"], unit, rtol=1e-6)
    mean, sd = (np.array(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_SD))
    np.testing.assert_allclose(seen["default"], (unit - mean) / sd, rtol=1e-4, atol=1e-6)
    assert model("prepared").prepare(IMAGES[0]).arguments["images"].unique().numel() == 1
    assert model("prepared", preprocess="unit").prepare(IMAGES[0]).arguments["images"].unique().numel() > 1


@pytest.mark.parametrize(("pool", "width"), [("none", 64), ("gap", 4), (2, 16), (9, 64), ({"stem.conv": "gap"}, 4)])
def test_pooling(pool, width):
    full = features(model(pool="none"), "stem.conv").reshape(5, 4, 4, 4)
    pooled = features(model(pool=pool), "stem.conv")
    assert pooled.shape == (5, width)
    if width == 4:
        np.testing.assert_allclose(pooled, full.mean((2, 3)), rtol=1e-5, atol=1e-6)
    if width == 16:
        blocks = full.reshape(5, 4, 2, 2, 2, 2).mean((3, 5)).reshape(5, -1)
        np.testing.assert_allclose(pooled, blocks, rtol=1e-5, atol=1e-6)


def test_tokens_average_over_tokens_and_have_no_grid():
    np.testing.assert_allclose(
        features(model("tokens", ("1",), pool="gap"), "1"),
        features(model("tokens", ("1",)), "1").reshape(5, 3, 5).mean(1),
        rtol=1e-5,
        atol=1e-6,
    )
    with pytest.raises(
        StudyError, match=r"pool: 2: layer '1' gives shape \(3, 5\), expected maps \(channel, y, x\) or tokens of a square grid"
    ):
        features(model("tokens", ("1",), pool=2), "1")
    with pytest.raises(StudyError, match="expected maps"):
        features(model("tokens", ("1",)), "1", maps=("1",))


def test_maps_are_at_most_28_wide():
    built = model(layers=("stem.conv",), pool="gap")
    (batch,) = built.features([np.zeros((30, 20, 3), np.uint8)], built.layers, built.layers)
    assert batch["stem.conv"]["maps"].shape == (1, 4, 28, 20)
    assert batch["stem.conv"]["activation"].shape == (1, 4)


def test_outputs_by_number():
    built = model("twice", ("pair#0", "pair#1"))
    (batch,) = built.features(IMAGES, ["pair#1"])
    assert batch["pair#1"]["activation"].shape == (5, 3)
    with pytest.raises(StudyError, match="'conv' runs more than once per stimulus"):
        list(model("twice", ("conv",)).features(IMAGES, ["conv"]))


def test_equal_seeds_give_equal_weights_and_leave_the_generator_alone():
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    first, second, other = (model(seed=seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert first.digest == second.digest != other.digest
    np.testing.assert_array_equal(features(first, "stem.conv"), features(second, "stem.conv"))


def test_the_untrained_twin_is_random_whatever_the_function_does():
    twin, again = (model("stubborn", weights="random", seed=5) for _ in range(2))
    other = model("stubborn", weights="random", seed=6)
    state = twin._module.state_dict()
    assert not any((value == 7).any() for value in state.values())
    assert float(state["stem.norm.running_var"].max()) == 1
    assert twin.digest == again.digest != other.digest
    assert model("stubborn").digest != twin.digest


def test_weights_are_found_beside_the_data_or_the_study_and_change_the_digest(tmp_path):
    plain = model()
    changed = {name: value * 2 for name, value in plain._module.state_dict().items()}
    torch.save(changed, tmp_path / "w.pt")
    loaded = model(weights="w.pt", root=tmp_path)
    assert loaded.digest != plain.digest
    np.testing.assert_array_equal(loaded._module.state_dict()["head.bias"], changed["head.bias"])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"layers": ("stem.cnv",)}, r"models\.m\.layers: found 'stem\.cnv', not in the module; nearest of \d+: stem\.conv"),
        ({"function": "smal"}, r"models\.m\.call: found no function 'smal'"),
        ({"function": "nothing"}, "gave str, expected a torch.nn.Module"),
        ({"function": "broken"}, "failed with ValueError: no such; mend it"),
        ({"options": {"wdth": 2}}, "failed with TypeError"),
        ({"weights": "absent.pt"}, r"models\.m\.weights: found no 'absent\.pt'"),
        ({"call": "absent.py:small"}, r"models\.m\.call: found no 'absent\.py'"),
        ({"call": "absent_package.module:small"}, r"cannot be imported \(ModuleNotFoundError"),
        ({"pool": {"conv": 2}}, r"models\.m\.pool: found 'conv', expected one of layers: stem\.conv"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(entry, message):
    with pytest.raises(StudyError, match=message) as caught:
        model(**entry)
    assert "\n" not in str(caught.value)


def test_layers_that_never_run_and_images_of_two_sizes():
    with pytest.raises(StudyError, match="'unused' is never run"):
        list(model(layers=("unused",)).features(IMAGES, ["unused"]))
    with pytest.raises(DataError, match="expected one; resize them in preprocess"):
        list(model().features([IMAGES[0], np.zeros((5, 4, 3), np.uint8)], ["stem.conv"]))
