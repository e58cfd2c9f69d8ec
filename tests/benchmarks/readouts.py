"""Training speed of the readouts in neuroids × stimuli per second, beside the arithmetic floor and neuralpredictors in a loop.

The floor is the counted operations of the large products over the rate of a matrix product on the same device, measured in the
same run. `make bench SUITES=readouts`; `python tests/benchmarks/readouts.py v4` runs one size.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from peer import run_peer

from isocortex.encoding import READOUTS
from isocortex.encoding.readouts.fwrf import PENALTIES
from isocortex.encoding.readouts.pooling_fields import pyramid
from isocortex.encoding.readouts.sampling import MIXED_UP_TO
from isocortex.stages.encode import bind
from isocortex.study.options.readouts import Fwrf

TRAINED = ("factorized", "gaussian", "semantic")
PEERS = ("factorized", "gaussian")
BATCH = 64


@dataclass(frozen=True)
class Size:
    """Stimuli, channels, pixels along a side, neuroids."""

    n: int
    channels: int
    side: int
    v: int

    @property
    def validation(self) -> int:
        return self.n // 5


SIZES = {"v4": Size(960, 256, 14, 33), "nsd": Size(9000, 512, 7, 2000)}
# What a CPU can do while somebody waits: a quarter of the stimuli and of the neuroids.
SMALLER = {"v4": SIZES["v4"], "nsd": Size(2250, 512, 7, 500)}


def data(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Maps that are smooth over space and rectified, responses of Gaussian fields with as much noise as signal."""
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(size.n, size.channels, size.side, size.side, generator=generator)
    maps = torch.nn.functional.avg_pool2d(raw, 3, 1, 1).relu_()
    at = torch.arange(size.side)
    centres = size.side * (0.2 + 0.6 * torch.rand(size.v, 2, generator=generator))
    square = (at[:, None] - centres[:, :1, None]) ** 2 + (at - centres[:, 1:, None]) ** 2
    masks = torch.exp(-square / 2 / (size.side / 8) ** 2).flatten(1)
    weights = torch.randn(size.v, size.channels, generator=generator)
    y = torch.cat([((part.flatten(2) @ masks.T) * weights.T).sum(1) for part in maps.split(100)])
    y = (y - y.mean(0)) / y.std(0)
    return maps.numpy(), (y + torch.randn(y.shape, generator=generator)).numpy()


def rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a matrix product."""
    a = torch.randn(2048, 2048, device=device).to(dtype)
    best = np.inf
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def operations(name: str, s: Size) -> float:
    """Of the large products: of one epoch, or of a closed form as a whole."""
    pixels, inside = s.side**2, s.n - s.validation
    if name == "linear":
        return 2.0 * s.n**2 * s.channels * pixels + 2 * 9 * s.n**3 + 2.0 * s.n * s.channels * pixels * s.v
    if name == "fwrf":
        rank = min(s.channels, inside)
        each = 2.0 * s.n * pixels * s.channels + 2.0 * inside * s.channels * rank + 9.0 * rank**3
        each += 2.0 * inside * rank * s.v + 2.0 * len(PENALTIES) * s.validation * rank * s.v
        return each * len(pyramid(Fwrf(), s.side, s.side))
    read = pixels if name != "gaussian" or pixels <= MIXED_UP_TO else 4
    # Forward, and the gradient of the factor that meets the maps; forward again on the validation rows.
    return (4.0 * inside + 2.0 * s.validation) * s.channels * read * s.v


def timed(run: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    start = time.perf_counter()
    made = run()
    _wait(device)
    return time.perf_counter() - start, made


def measured(name: str, s: Size, arrays: tuple[Any, Any], device: torch.device, to_the_end: bool) -> tuple[float, str]:
    """Seconds of an epoch, or of a closed form, and what is said beside."""
    maps, y = arrays
    train, held = bind(READOUTS, name), np.arange(s.validation)

    def fit(**options: Any) -> Any:
        return train(maps, y, held, options, device=device, guide=maps if name == "semantic" else None)

    if name not in TRAINED:
        seconds, made = timed(fit, device)
        return seconds, f"median loss {_median(made):.3f}"
    options = {"batch": BATCH, **({"nested": False} if name == "semantic" else {})}
    few, more = (timed(lambda epochs=epochs: fit(epochs=epochs, **options), device)[0] for epochs in (1, 4))
    each = (more - few) / 3
    if not to_the_end:
        return each, f"and {max(few - each, 0):.1f} s before the first epoch"
    whole, made = timed(lambda: fit(**options), device)
    speed = s.v * (s.n - s.validation) * made.epochs / whole
    return each, f"{whole:.1f} s to the end, {made.epochs} epochs, {speed:.2e} per s; median loss {_median(made):.3f}"


def _median(fit: Any) -> float:
    return float(np.median(fit.loss.cpu() if isinstance(fit.loss, torch.Tensor) else fit.loss))


def peer_seconds(name: str, s: Size, arrays: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    """Seconds of an epoch, and the median of the least losses of a few."""
    maps, y = arrays
    inside = slice(s.validation, None)
    mean, sd = maps[inside].mean((0, 2, 3), keepdims=True), maps[inside].std((0, 2, 3), keepdims=True)
    z, answers = (maps - mean) / sd, (y - y[inside].mean(0)) / y[inside].std(0)
    parts = {"maps": z[inside], "y": answers[inside], "held_maps": z[: s.validation], "held_y": answers[: s.validation]}
    found = run_peer("readouts.py", name, {**parts, "epochs": np.array(3), "batch": np.array(BATCH)})
    return float(found["seconds"]), float(np.median(found["loss"]))


def rows(label: str, device: torch.device) -> None:
    s = (SIZES if device.type == "cuda" else SMALLER)[label]
    arrays = data(s)
    on_device = tuple(torch.as_tensor(part).to(device) for part in arrays) if device.type == "cuda" else arrays
    print(f"\n{label}-like on {device}: {s.n} stimuli, maps of {s.channels} x {s.side} x {s.side}, {s.v} neuroids")
    print(f"{'':<12} {'s/epoch':>9} {'per s':>9} {'floor, s':>9} {'peer, s':>9} {'ratio':>6}")
    for name in READOUTS:
        to_the_end = label == "v4" or device.type == "cuda"
        seconds, said = measured(name, s, on_device, device, to_the_end)
        dtype = torch.float64 if name not in TRAINED else torch.bfloat16 if device.type == "cuda" else torch.float32
        floor = operations(name, s) / rate(device, dtype)
        speed = s.v * (s.n - s.validation) / seconds
        theirs = f"{'':>9} {'':>6}"
        if name in PEERS and device.type == "cpu":
            peer, _ = peer_seconds(name, s, arrays)
            theirs = f"{peer:9.3f} {peer / seconds:6.1f}"
        print(f"{name:<12} {seconds:9.3f} {speed:9.2e} {floor:9.3f} {theirs}  {said}", flush=True)


def main(wanted: list[str]) -> None:
    threads = torch.get_num_threads()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {threads} threads, torch {torch.__version__}")
    devices = [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]
    for device in devices:
        for label in wanted or SIZES:
            rows(label, device)


if __name__ == "__main__":
    main(sys.argv[1:])
