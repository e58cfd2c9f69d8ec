from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from isocortex.errors import DataError
from isocortex.features import seeded
from isocortex.features.weights import load_state, state_digest


class Harm:
    def __reduce__(self):
        return (print, ("ran",))


def test_tensors_from_torch_and_hdf5(tmp_path):
    torch.save({"a.weight": torch.ones(2)}, tmp_path / "w.pt")
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        file["layers/conv/vars/0"] = np.arange(3.0)
    assert load_state(tmp_path / "w.pt")["a.weight"].tolist() == [1, 1]
    assert load_state(tmp_path / "w.weights.h5")["layers/conv/vars/0"].tolist() == [0, 1, 2]


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys):
    torch.save({"a": Harm()}, tmp_path / "harm.pt")
    torch.save({"a": "text"}, tmp_path / "text.pt")
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04nothing")
    (tmp_path / "cut.h5").write_bytes(b"nothing")
    for name in ("harm.pt", "text.pt", "cut.pt", "cut.h5"):
        with pytest.raises(DataError, match="not readable as weights") as caught:
            load_state(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""
    with pytest.raises(DataError, match="missing; check weights"):
        load_state(tmp_path / "absent.pt")


def test_the_digest_of_a_state_knows_names_values_and_shapes():
    plain = nn.Linear(2, 3)
    same = nn.Linear(2, 3)
    same.load_state_dict(plain.state_dict())
    assert state_digest(plain) == state_digest(same)
    with torch.no_grad():
        same.bias[0] += 1e-6
    assert state_digest(plain) != state_digest(same)


def test_seeded_networks_differ_by_seed_and_their_layers_live():
    networks = [seeded.build(seed=seed) for seed in (0, 0, 1)]
    assert state_digest(networks[0]) == state_digest(networks[1]) != state_digest(networks[2])
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    maps = networks[0].preprocess(image)[None]
    for name in networks[0].names:
        maps = networks[0].get_submodule(name)(maps).detach()
        assert 0.2 < float((maps > 0).float().mean()) < 0.8
        assert 0.3 < float(maps.square().mean()) < 0.8
    assert maps.shape == (1, 16, 6, 6)
    assert seeded.build(channels=160).get_submodule("conv4").conv.weight.shape == (160, 160, 3, 3)
