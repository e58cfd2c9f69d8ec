"""A problem of full size through the workflow: how long it takes, and whether its memory is what the plan said.

`make bench-full`, or `python tests/benchmarks/full_size.py --stimuli 10000 --features 10000 --neuroids 20000`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

from isocortex import planning
from isocortex.study import load_study
from isocortex.study.job import Job
from isocortex.study.jobs import Jobs

STAGES = ("fetch", "stimuli", "record", "features", "splits", "kernels", "region", "encode")
ROWS = 500  # written at a time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("stimuli", 10_000), ("features", 10_000), ("neuroids", 20_000), ("repeats", 1), ("alphas", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--kernels-budget", type=float, default=50.0, help="GB; less than a decomposition: made in the job")
    parser.add_argument("--folder", help="where to work (a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        os.chdir(folder)
        # In a process of its own: a child's peak starts from what its parent holds.
        writer = multiprocessing.get_context("spawn").Process(target=write_study, args=(options,))
        writer.start()
        writer.join()
        study = load_study("study.yaml")
        print(f"{options.stimuli} stimuli x {options.features} features x {options.neuroids} neuroids")
        print(f"{'stage':<10} {'planned MB':>11} {'peak MB':>9} {'ratio':>6} {'planned s':>10} {'took s':>8}", flush=True)
        for stage in STAGES:
            for job in Jobs(study).by_stage[stage].values():
                # Planned when its job is, as Snakemake does: the shapes of features are known once they exist.
                plan = planning.cost(study, job)
                memory, seconds = run(job)
                print(f"{stage:<10} {plan.memory_mb:>11.0f} {memory:>9.0f} {memory / plan.memory_mb:>6.2f} "
                      f"{plan.seconds:>10.0f} {seconds:>8.0f}", flush=True)  # fmt: skip


def run(job: Job) -> tuple[float, float]:
    """Peak memory (MB, of the process as the kernel counted it) and seconds of one job."""
    start = time.perf_counter()
    environment = {**os.environ, "ISOCORTEX_MIRROR": str(Path("mirror").resolve())}
    with open("job.log", "a", encoding="utf-8") as log:
        command = [sys.executable, "-m", "isocortex", job.stage, "--spec", job.spec, "--device", "auto"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{job.stage} failed:\n{Path('job.log').read_text(encoding='utf-8')[-3000:]}")
    return usage.ru_maxrss * 1024 / 1e6, time.perf_counter() - start


def write_study(options: argparse.Namespace) -> None:
    """Responses that are linear in the features of a hundred dimensions, with noise; written in pieces, as .npy files."""
    n, p, v, repeats = options.stimuli, options.features, options.neuroids, options.repeats
    rng = np.random.default_rng(0)
    shared = Path("mirror/full")
    shared.mkdir(parents=True)
    kind = np.lib.format
    x = kind.open_memmap("features.npy", "w+", np.float32, (n, p))
    y = kind.open_memmap(shared / "responses.npy", "w+", np.float32, (n, repeats, v))
    first, second = (rng.standard_normal((100, size), dtype=np.float32) for size in (p, v))
    for start in range(0, n, ROWS):
        hidden = rng.standard_normal((min(ROWS, n - start), 100), dtype=np.float32)
        x[start : start + ROWS] = hidden @ first / 10 + rng.standard_normal((len(hidden), p), dtype=np.float32)
        noise = rng.standard_normal((len(hidden), repeats, v), dtype=np.float32)
        y[start : start + ROWS] = (hidden @ second / 10)[:, None] + 2 * noise
    np.save(shared / "ids.npy", np.array([f"s{index:05d}" for index in range(n)]))
    x.flush(), y.flush()
    study = {
        "study": "full",
        "dataset": {
            "name": "full",
            "files": {"responses.npy": {}, "ids.npy": {}},
            "stimuli": {"all": {"n": n, "ids": {"path": "ids.npy"}}},
            "subjects": {
                "S1": {
                    "adapter": "npz",
                    "stimuli": "all",
                    "path": "responses.npy",
                    "dims": ["stimulus", "repeat", "neuroid"],
                    "repeats": repeats,
                }
            },
            "regions": {"V": {"where": {}, "neuroids": {"S1": v}}},
        },
        "models": {"net": {"source": "precomputed", "path": str(Path("features.npy").resolve())}},
        "kernels_budget_gb": options.kernels_budget,
        "encode": {"ridge": {"alphas": np.logspace(0, 6, options.alphas).tolist()}},
    }
    Path("study.yaml").write_text(yaml.safe_dump(study))


if __name__ == "__main__":
    main()
