"""The studies on real recordings, each run once through Snakemake from a clean folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run_study(repository: Path, folder: Path, config: str | None, mirror: Path | None) -> Path:
    """Run one study of the repository in `folder` and then plan it again: nothing is left to do."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(repository / "Snakefile"),
        "--directory",
        str(folder),
        "--cores",
        "2",
    ]
    command += ["--configfile", str(repository / config)] if config else []
    environment = {**os.environ, **({"ISOCORTEX_MIRROR": str(mirror)} if mirror else {})}
    done = subprocess.run(command, capture_output=True, text=True, cwd=repository, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    again = subprocess.run([*command, "-n"], capture_output=True, text=True, cwd=repository, env=environment, check=False)
    assert "Nothing to be done" in again.stdout + again.stderr
    return folder / "results" / (Path(config).stem if config else "demo")


class Studies(dict[str, Path]):
    """Folders of results by study, made when first asked for."""

    def __init__(self, repository: Path, mirror: Path, folder: Path) -> None:
        super().__init__()
        self.repository, self.mirror, self.folder = repository, mirror, folder

    def __missing__(self, name: str) -> Path:
        self[name] = run_study(self.repository, self.folder, f"config/studies/{name}.yaml", self.mirror)
        return self[name]


@pytest.fixture(scope="session")
def real_studies(repository: Path, mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Studies:
    return Studies(repository, mirror, tmp_path_factory.mktemp("studies"))


@pytest.fixture(scope="session")
def demo_study(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_study(repository, tmp_path_factory.mktemp("demo"), None, None)
