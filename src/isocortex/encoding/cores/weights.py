"""Cores in one file of arrays, without pickles: the networks of all seeds, their readouts, and what they are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isocortex.encoding.cores.architecture import Architecture, CoreNetwork, prepare
from isocortex.encoding.cores.frozen import Reader
from isocortex.encoding.cores.trained import FrozenCore, TrainedCore
from isocortex.encoding.readouts.heads import HEADS
from isocortex.errors import StoreError
from isocortex.storage.atomic import replacing

Core = TrainedCore | FrozenCore


@dataclass(frozen=True)
class Cores:
    """The networks of all seeds as one, whose prediction is their mean. subjects : name → number of neuroids. head : the
    readout that they were trained with, {name: options}."""

    networks: Sequence[Core]
    subjects: Mapping[str, int]
    plan: Architecture
    head: Mapping[str, Mapping[str, Any]]

    def predict(self, images: Sequence[np.ndarray], subject: str) -> np.ndarray:
        """Responses (n, v) float32 of a subject's neuroids to pictures, each uint8 (H, W, 3). Raises KeyError for an unknown
        subject."""
        if subject not in self.subjects:
            raise KeyError(f"found subject {subject!r}, expected one of {', '.join(self.subjects)}")
        made = np.stack([prepare(image, self.plan.size, self.plan.color) for image in images])
        return np.mean([core.predict(made, list(self.subjects).index(subject)) for core in self.networks], axis=0)


def save_cores(path: Path | str, cores: Cores) -> None:
    """Write cores as .npz, atomically."""
    about = {"architecture": asdict(cores.plan), "subjects": dict(cores.subjects), "head": {**cores.head}}
    about |= {"seeds": len(cores.networks), "loss": trained_of(cores.networks[0]).loss}
    first = cores.networks[0]
    if isinstance(first, FrozenCore):
        about["reader"] = {"name": first.readers[0].name, "nonlinearity": first.readers[0].nonlinearity}
    arrays = {"about": np.array(json.dumps(about, ensure_ascii=False))}
    for seed, core in enumerate(cores.networks):
        arrays |= {f"{seed}/{name}": value for name, value in _arrays(core).items()}
    with replacing(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)


def load_core(path: Path | str, device: str | torch.device = "cpu") -> Cores:
    """Cores as they were written. Raises `StoreError` for a file that is missing, or none of these."""
    try:
        with np.load(path, allow_pickle=False) as file:
            about, arrays = json.loads(str(file["about"])), {name: file[name] for name in file.files if name != "about"}
        subjects = {str(name): int(size) for name, size in about["subjects"].items()}
        plan = Architecture.of(about["architecture"])
        made = [_core(about, plan, subjects, _below(arrays, str(seed)), torch.device(device)) for seed in range(about["seeds"])]
    except FileNotFoundError:
        raise StoreError(f"{path}: missing; make it with: snakemake -- {path} (with the --configfile of your study)") from None
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoreError(f"{path}: not readable as a core ({reason}); delete it and run again") from error
    return Cores(made, subjects, plan, about["head"])


def trained_of(core: Core) -> TrainedCore:
    """The network with the readout that it was trained with."""
    return core.core if isinstance(core, FrozenCore) else core


def _arrays(core: Core) -> dict[str, np.ndarray]:
    trained = trained_of(core)
    found = {f"network/{name}": value for name, value in trained.network.state_dict().items()}
    found |= {f"head/{name}": value for name, value in trained.state.items()}
    made = {name: value.detach().cpu().numpy() for name, value in found.items()}
    for subject, scale in enumerate(trained.scales):
        made[f"scale/{subject}"] = np.stack(scale)
    for subject, reader in enumerate(core.readers if isinstance(core, FrozenCore) else ()):
        made |= {f"reader/{subject}/{name}": value.numpy() for name, value in reader.arrays.items()}
    return made


def _below(arrays: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Arrays whose names start with `name/`, without it."""
    return {key[len(name) + 1 :]: value for key, value in arrays.items() if key.startswith(f"{name}/")}


def _core(
    about: Mapping[str, Any], plan: Architecture, subjects: Mapping[str, int], arrays: Mapping[str, Any], device: torch.device
) -> Core:
    network = CoreNetwork(plan)
    network.load_state_dict({name: torch.as_tensor(value) for name, value in _below(arrays, "network").items()})
    ((name, options),) = about["head"].items()
    state = {key: torch.as_tensor(value, device=device) for key, value in _below(arrays, "head").items()}
    scales = [(arrays[f"scale/{k}"][0], arrays[f"scale/{k}"][1]) for k in range(len(subjects))]
    ends = np.cumsum(list(subjects.values())).tolist()
    columns = [slice(end - size, end) for end, size in zip(ends, subjects.values(), strict=True)]
    trained = TrainedCore(network.to(device).eval(), HEADS[name](options), state, scales, columns, about["loss"])
    if "reader" not in about:
        return trained
    parts = [
        {key: torch.as_tensor(value) for key, value in _below(arrays, f"reader/{k}").items()} for k in range(len(subjects))
    ]
    return FrozenCore(trained, [Reader(about["reader"]["name"], about["reader"]["nonlinearity"], part) for part in parts])
