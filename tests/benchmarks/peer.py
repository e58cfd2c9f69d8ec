"""Runs a peer in its own environment and exchanges arrays with it as files."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def environment() -> Path:
    """The Python of the peers' environment; made by `make bench`."""
    python = Path(os.environ.get("ISOCORTEX_PEERS", ".peers")) / "bin" / "python"
    if not python.exists():
        sys.exit(f"benchmarks: found no {python}, expected the peers' environment; run them with: make bench")
    return python


def run_peer(script: str, task: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The results of `task` of peers/`script` on `inputs`, with as many threads as this process has."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(source, **inputs)
        subprocess.run([environment(), HERE / "peers" / script, task, source, target], check=True)
        with np.load(target) as file:
            return {name: file[name] for name in file.files}
