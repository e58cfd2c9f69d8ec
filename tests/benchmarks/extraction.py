"""How fast a ResNet-50 is extracted, and whether memory grows with the number of images: 20 000 through the stage `features`.

`python tests/benchmarks/extraction.py`, or with `--images 2000 --size 224 --layers layer2.3 layer4.2 --batch 64 --device cuda`.
Weights are random, images synthetic; what is planned is told beside what was measured.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from isocortex.planning.features import features as planned_cost
from isocortex.planning.sizes import Shapes
from isocortex.stages import features
from isocortex.storage.images import image_digest
from isocortex.storage.store import Store
from isocortex.storage.tables import write_parquet
from isocortex.study.job import Job

LAYERS = ("layer1.2", "layer2.3", "layer3.5", "layer4.2", "avgpool")
PARTS = (0.25, 0.5, 1.0)
MB = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=64, help="pixels per side")
    parser.add_argument("--layers", nargs="+", default=LAYERS)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--project", default="auto")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    declare_operators()
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), options.images, options.size)
        job = job_of(Path(folder), options)
        shapes = Shapes(options.images, 1, 1, len(options.layers), 1, 1, 1, 1, 1, 0.2)
        before = planned_cost(shapes, job)
        watch = Memory(Path(job.target).with_suffix(".journal"), options.images, len(options.layers), options.batch)
        start = time.perf_counter()
        with watch:
            features.run(
                {"stage": "features", "inputs": job.inputs, "output": job.output, "options": job.options}, options.device
            )
        seconds = time.perf_counter() - start
        report(options, job, watch, seconds, (before, planned_cost(shapes, job)))


def declare_operators() -> None:
    """As in the tests: beside a torch without CUDA, torchvision imports once these two are known."""
    if not torch.cuda.is_available():
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        globals()["_kept"] = library


def write_images(folder: Path, n: int, size: int) -> None:
    """Coloured gratings of random direction and phase, as PNG in one archive; their table."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    rows = []
    with zipfile.ZipFile(folder / "images.zip", "w", zipfile.ZIP_STORED) as archive:
        for number in range(n):
            waves = rng.uniform(-40, 40, size=(3, 2))
            picture = np.stack([np.sin(a * x + b * y + number) for a, b in waves], axis=2)
            pixels = (127.5 * picture + 127.5).astype(np.uint8)
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, "png", compress_level=1)
            archive.writestr(f"{number:05d}.png", stream.getvalue())
            rows.append((f"s{number:05d}", image_digest(pixels), f"images.zip!{number:05d}.png"))
    table = pd.DataFrame(rows, columns=["stimulus_id", "digest", "path"])
    write_parquet(table.assign(row=-1, caption=""), folder / "stimuli.parquet")


def job_of(folder: Path, options: argparse.Namespace) -> Job:
    project = int(options.project) if options.project.isdigit() else options.project
    entry = {
        "source": "torchvision",
        "name": "resnet50",
        "weights": "random",
        "layers": list(options.layers),
        "preprocess": "imagenet",
        "project": project,
        "batch": options.batch,
    }
    given = {"name": "d", "model": "resnet50", "set": "all", "entry": entry, "root": str(folder), "maps": []}
    return Job("features", {"stimuli": str(folder / "stimuli.parquet")}, str(folder / "out" / "all.json"), given)


class Memory:
    """Resident memory of this process, sampled, and how many images the store had of all layers at each time."""

    def __init__(self, journal: Path, n: int, layers: int, batch: int) -> None:
        self.journal, self.n, self.layers, self.batch = journal, n, layers, batch
        self.samples: list[tuple[int, float, float]] = []
        self._ended = threading.Event()

    def __enter__(self) -> Memory:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.2):
            self.samples.append((self._done(), resident_mb(), time.perf_counter()))

    def _done(self) -> int:
        if not self.journal.exists():
            return 0
        with open(self.journal, "rb") as lines:
            return min(self.n, (sum(1 for _ in lines) - 1) // self.layers * self.batch)

    def peak(self, part: float) -> float:
        """The largest by the time when a part of the images was done."""
        return max(mb for done, mb, _ in self.samples if done <= part * self.n)

    def rate(self) -> float:
        """Images per second between the first tenth and the end."""
        times = [(done, at) for done, _, at in self.samples if done >= self.n / 10]
        return (times[-1][0] - times[0][0]) / max(times[-1][1] - times[0][1], 1e-9)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / MB


def report(options: argparse.Namespace, job: Job, watch: Memory, seconds: float, plans: tuple) -> None:
    store = Store(job.target)
    size = sum(file.stat().st_size for file in store.directory.rglob("*") if file.is_file()) / MB
    print(f"{options.images} images of {options.size} pixels, batches of {options.batch}, {torch.get_num_threads()} threads")
    for about in store.groups.values():
        units = about.get("n_units", about["n_features"])
        print(f"  {about['layer']:<12} {units:>8} units -> {about['n_features']:>5} in {about['dtype']['activation']}")
    print(f"time   {seconds:.0f} s in all, {watch.rate():.1f} images/s")
    peaks = "  ".join(f"{part:.0%}: {watch.peak(part):.0f}" for part in PARTS)
    print(f"memory MB, peak until part of the images was stored  {peaks}")
    print(f"disk   {size:.0f} MB, {size * MB / options.images:.0f} bytes per image")
    for what, plan in zip(("before it ran", "now that it ran"), plans, strict=True):
        print(f"plan {what}: {plan.seconds:.0f} s, {plan.memory_mb:.0f} MB of memory, {plan.disk_mb:.0f} MB of disk")


if __name__ == "__main__":
    main()
