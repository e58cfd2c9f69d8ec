"""What every metric costs: a cell of a region and a model with its inference beside the plan, and a study's point estimates.

`python tests/benchmarks/metrics.py cells cka gulp` times the cells of some rows, `study` ten regions × ten models.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "stages"))

from cell_inputs import common_options, compare_spec, stimulus_ids, subject_patterns, write_brain, write_kernels
from test_compare_families import write_features

from isocortex.planning.comparisons import compare as planned
from isocortex.planning.sizes import START, Shapes
from isocortex.similarity import METRICS
from isocortex.similarity.metric import Metric
from isocortex.stages import compare
from isocortex.study.job import Job
from isocortex.study.options import reads_units

N = int(os.environ.get("STIMULI", "500"))
LAYERS, UNITS, NEUROIDS, REPEATS = 5, 1000, 100, 4
REGIONS, MODELS, CORES = 10, 10, 2
# Canonical correlations need ten stimuli for each unit, and are refused for more units than these.
WIDEST = {"cca": 40}
FAMILIES = ("kernel", "linear", "neighbours", "matching", "rdm", "graph", "shape", "stochastic")


def world(seed: int, units: int, neuroids: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Layers {name: (N, units)} and trials (N, REPEATS, neuroids) that the second of them drives."""
    rng = np.random.default_rng(seed)
    layers = {f"layer{k}": rng.normal(size=(N, 40)) @ rng.normal(size=(40, units)) for k in range(LAYERS)}
    layers = {name: x + rng.normal(size=x.shape) for name, x in layers.items()}
    signal = layers["layer1"] @ rng.normal(size=(units, neuroids)) / 200
    return layers, signal[:, None] + rng.normal(size=(N, REPEATS, neuroids))


def cells(names: Sequence[str]) -> None:
    """A cell of one subject, five layers and 500 stimuli for each row, as the stage makes it: nulls, draws, ceiling."""
    print(f"{'metric':<22} {'took s':>8} {'planned s':>10} {'ratio':>6}   {LAYERS} layers, {N} stimuli, with inference")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            took, plan = _cell(METRICS[name], Path(folder))
        print(f"{name:<22} {took:>8.2f} {plan:>10.2f} {took / plan:>6.2f}", flush=True)


def _cell(metric: Metric, home: Path) -> tuple[float, float]:
    """Seconds of a core that a cell takes, whatever else the machine does, and that it is planned with."""
    name, ids = metric.name, stimulus_ids(N)
    units, neuroids = WIDEST.get(name, UNITS), WIDEST.get(name, NEUROIDS)
    layers, trials = world(0, units, neuroids)
    subjects = {f"S{k}": subject_patterns(trials, ids) for k in range(int(os.environ.get("SUBJECTS", "1")))}
    brain = write_brain(home / "brain.nc", subjects)
    kernels = write_kernels(home / "kernels.json", layers, ids, with_coordinates=True)
    options = {**common_options(dict.fromkeys(subjects, "all"), draws=1000), "family": metric.family}
    options["metrics"] = {name: {**metric.options}}
    spec = compare_spec(brain, {"all": kernels}, home / "cell.nc", options)
    if reads_units(name, metric.options):
        spec["inputs"]["features"] = {"all": str(write_features(home / "features.json", layers, ids))}
    if "confounder" in metric.options:
        other = {"size16": np.random.default_rng(9).normal(size=(N, 256))}
        pixels = write_kernels(home / "pixels.json", other, ids, with_coordinates=True)
        spec["inputs"]["confounders"] = {"pixels": {"all": str(pixels)}}
    start = time.process_time()
    compare.run(spec, "cpu")
    took = time.process_time() - start
    shapes = Shapes(N, neuroids, REPEATS, LAYERS, units, len(subjects), 1, 5, 1000, 0.2)
    return took, planned(shapes, Job("compare", spec["inputs"], spec["output"], options)).seconds - START["torch"]


def study(names: Sequence[str]) -> None:
    """Point estimates of ten regions × ten models × five layers, two processes side by side."""
    print(f"{'metric':<22} {'s on one core':>14}   {REGIONS} regions × {MODELS} models × {LAYERS} layers, {N} stimuli")
    start = time.perf_counter()
    with get_context("spawn").Pool(CORES) as pool:
        took = 0.0
        for name, seconds in pool.imap(_points, names):
            took += seconds
            print(f"{name:<22} {seconds:>14.2f}", flush=True)
    print(f"{'all':<22} {took:>14.1f}   {time.perf_counter() - start:.0f} s on {CORES} cores")


def _points(name: str) -> tuple[str, float]:
    """Seconds of a row for the whole study: every system is summarised once, and every pair compared."""
    torch.set_num_threads(1)
    metric = METRICS[name]
    rng = np.random.default_rng(1)
    regions = [rng.normal(size=(N, REPEATS, WIDEST.get(name, NEUROIDS))) for _ in range(REGIONS)]
    layers = [rng.normal(size=(N, WIDEST.get(name, UNITS))) for _ in range(MODELS * LAYERS)]
    pairs = _points_of(metric, layers, regions)
    return name, pairs


def _points_of(metric: Metric, layers: list[np.ndarray], regions: list[np.ndarray]) -> float:
    from isocortex.similarity.coordinates import coordinates
    from isocortex.similarity.deconfounded import Confounded
    from isocortex.similarity.noise_corrected import Halved
    from isocortex.similarity.rdm import rdm, to_square
    from isocortex.similarity.summaries import fitted
    from isocortex.similarity.trials import Trials

    def square(x: np.ndarray) -> torch.Tensor:
        return to_square(torch.as_tensor(rdm(x, str(metric.options["rdm"]))))

    def halved(x: np.ndarray) -> object:
        halves = torch.stack([torch.stack([square(x[:, k::2].mean(1)) for k in (0, 1)])] * 20)
        return Halved(square(x.mean(1)), halves)

    brain_of = {
        "rdm": lambda x: square(x.mean(1)),
        "halves": halved,
        "trials": lambda x: Trials(x, None, torch.device("cpu")),
    }.get(metric.level, lambda x: torch.as_tensor(x.mean(1)))
    gram_like = {"rdm": square, "halves": square, "units": torch.as_tensor}
    layer_of = gram_like.get(metric.level, lambda x: coordinates(torch.as_tensor(x @ x.T)))
    most = int(metric.options.get("max_stimuli", N))
    if metric.comparing:
        return _compared(metric, [square(x.mean(1)) for x in regions], [square(x) for x in layers])
    if metric.level in ("rdm", "halves"):
        layer_of = lambda x: square(x[:most])
        brain_of = brain_of if metric.level == "halves" else lambda x: square(x.mean(1)[:most])
    systems = [brain_of(x[:most]) for x in regions], [layer_of(x[:most]) for x in layers]
    if "confounder" in metric.options:
        known = (layer_of(np.random.default_rng(5).normal(size=(N, 256))[:most]),)
        systems = tuple([Confounded(x, known) for x in some] for some in systems)
    brain, modelled = systems
    start = time.perf_counter()
    method = fitted(metric.summarised(metric.options), brain)
    every = np.arange(len(brain[0]))
    summaries = [[method.of(x, every) for x in some] for some in (modelled, brain)]
    method.compare(*summaries)
    return time.perf_counter() - start


def _compared(metric: Metric, brain: list[torch.Tensor], layers: list[torch.Tensor]) -> float:
    from isocortex.similarity.rdm import to_vector

    rows = [torch.stack([to_vector(x) for x in some]) for some in (brain, layers)]
    start = time.perf_counter()
    for comparator in metric.comparators(metric.options):
        change = comparator.transform or (lambda x: x)
        comparator.compare(*(change(x) for x in rows))
    return time.perf_counter() - start


SUITES = {"cells": cells, "study": study}


def main(arguments: Sequence[str]) -> None:
    chosen = [name for name in arguments if name in SUITES] or list(SUITES)
    rows = [name for name in arguments if name in METRICS]
    names = rows or [name for family in FAMILIES for name, row in METRICS.items() if row.family == family]
    print(f"\nmetrics on {platform.machine()}, {torch.get_num_threads()} threads")
    for suite in chosen:
        SUITES[suite](names)


if __name__ == "__main__":
    main(sys.argv[1:])
