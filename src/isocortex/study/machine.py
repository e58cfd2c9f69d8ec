"""What a workflow must know of the machine it runs on, without importing torch."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def use_this_python() -> None:
    """Let `python` in jobs be the one that runs Snakemake, whether or not its environment is activated."""
    here = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", "")])


def gpus_wanted(device: str) -> int:
    """GPUs that a job on `device` asks for: one for cuda, and for auto where an NVIDIA GPU is present."""
    return int(device.startswith("cuda") or (device == "auto" and Path("/dev/nvidia0").exists()))
