"""A small study that runs end to end in a folder of its own, and what to ask Snakemake about it."""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

SUBJECT = {
    "adapter": "simulated",
    "stimuli": "crops",
    "repeats": 2,
    "ncsnr": [0.4, 0.8],
    "regions": {
        "A": {
            "call": "isocortex.features.seeded:build",
            "options": {"seed": 1, "channels": 4, "depth": 2},
            "layer": "conv1",
            "neuroids": 6,
        },
        "B": {"neuroids": 5},
        "C": {"neuroids": 4},
    },
}
SMALL: dict[str, Any] = {
    "study": "small",
    "dataset": {
        "name": "toy",
        "stimuli": {"crops": {"n": 50, "simulated": {"size": 16}}},
        "subjects": {f"S{seed}": {**SUBJECT, "seed": seed} for seed in (1, 2, 3)},
        "regions": {name: {"where": {"region": [name]}} for name in "ABC"},
    },
    "subjects": ["S1", "S2"],
    "regions": {"A": {}, "B": {}},
    "models": {
        "pixels": {"source": "pixels", "size": 4},
        "net": {
            "source": "callable",
            "call": "isocortex.features.seeded:build",
            "options": {"seed": 1, "channels": 4, "depth": 2},
            "layers": ["conv1", "conv2"],
            "pool": 2,
        },
    },
    "splits": {"test": 0.3, "folds": 3},
    "inference": {"draws": 100, "permutations": 99},
}


@dataclass(frozen=True)
class Workspace:
    """A working directory and the study in it."""

    folder: Path
    repository: Path

    def study(self, **changes: Any) -> Path:
        """Write the small study with some keys changed ('a/b' goes into nested mappings)."""
        mapping = copy.deepcopy(SMALL)
        for path, value in changes.items():
            *parents, last = path.split("/")
            inner = mapping
            for key in parents:
                inner = inner.setdefault(key, {})
            inner[last] = value
        file = self.folder / "study.yaml"
        file.write_text(yaml.safe_dump(mapping))
        return file

    def snakemake(
        self, *arguments: str, env: dict[str, str] | None = None, timeout: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the study in this folder."""
        command = [sys.executable, "-m", "snakemake", "-s", str(self.repository / "Snakefile"), "--directory", str(self.folder)]
        command += ["--configfile", str(self.folder / "study.yaml"), "--cores", "2", *arguments]
        environment = {**os.environ, **(env or {})}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env=environment, cwd=self.repository, check=False
        )

    def planned(self, *arguments: str, env: dict[str, str] | None = None) -> set[str]:
        """The jobs of a dry run, as 'stage: first output', without the folder of results."""
        done = self.snakemake("-n", "-p", *arguments, env=env)
        assert done.returncode == 0, done.stderr
        jobs = set()
        for line in re.findall(r"python -m isocortex \w+ --spec .*", done.stdout + done.stderr):
            spec = json.loads(shlex.split(line)[5])
            given = spec["output"]
            output = given if isinstance(given, str) else given.get("scores") or given["cell"]
            jobs.add(f"{spec['stage']}: {output.removeprefix('results/small/')}")
        return jobs


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Workspace:
    """The small study, run once for all tests that only look."""
    workspace = Workspace(tmp_path_factory.mktemp("finished"), repository)
    workspace.study()
    done = workspace.snakemake()
    assert done.returncode == 0, done.stderr[-4000:]
    return workspace


@pytest.fixture
def workspace(tmp_path: Path, repository: Path) -> Workspace:
    """An empty folder with the small study."""
    made = Workspace(tmp_path, repository)
    made.study()
    return made
