"""When things break: the message says what and where, exit code 1, and the next run goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def copied(finished: Any, tmp_path: Path) -> Any:
    """The finished study, copied with its time stamps, to be broken."""
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    made = type(finished)(tmp_path / "copy", finished.repository)
    made.study()
    return made


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"encod": {}}, "unknown key 'encod'"),
        ({"regions/Z": {}}, "unknown region"),
        ({"study": "a b"}, "study is 'a b', expected 1 to 64 letters"),
        ({"splits/folds": 1}, "splits.folds: found 1 (int)"),
    ],
)
def test_a_bad_study_ends_in_one_line_before_any_job(workspace: Any, change: dict[str, object], text: str) -> None:
    workspace.study(**change)
    done = workspace.snakemake()
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("isocortex: error: ")]
    assert len(errors) == 1
    assert text in errors[0]
    assert "Traceback" not in done.stderr
    assert not (workspace.folder / "results").exists()


def test_the_demo_never_leaks_into_a_study(workspace: Any) -> None:
    (workspace.folder / "study.yaml").write_text("label: only a label\n")
    done = workspace.snakemake("-n")
    assert done.returncode == 1
    assert "study: missing; this key is needed" in done.stderr


def test_a_key_that_the_demo_sets_stays_at_its_default(workspace: Any) -> None:
    done = workspace.snakemake("-n", "-p")
    assert "ground_truth" not in done.stdout + done.stderr
    assert "seeded-1" not in done.stdout + done.stderr


@pytest.mark.xdist_group("finished")
def test_a_flipped_byte_in_a_store_is_told_and_mended(copied: Any) -> None:
    chunk = next(
        path for path in sorted(copied.folder.glob("results/small/kernels/net/crops.zarr/*/gram/c/**/*")) if path.is_file()
    )
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(bytes(data))
    before = {path: path.stat().st_mtime_ns for path in copied.folder.glob("results/small/*/pixels/*.nc")}
    done = copied.snakemake("-R", "compare", "--", "results/small/A/net/rdm.nc")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "corrupt, checksum is" in said
    assert "rebuild it with: snakemake -f -- results/small/kernels/net/crops.json" in said
    assert copied.snakemake("-f", "--", "results/small/kernels/net/crops.json").returncode == 0
    assert copied.snakemake().returncode == 0
    assert copied.planned() == set()
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.xdist_group("finished")
def test_a_lost_file_is_made_again_and_nothing_else(copied: Any) -> None:
    for lost in ("A/net/encoding.nc", "A/scores.parquet", "A/report.html"):
        (copied.folder / "results/small" / lost).unlink()
    planned = copied.planned()
    assert "encode: A/net/encoding.nc" in planned
    assert not [job for job in planned if "B/" in job or job.startswith(("features", "kernels", "record", "compare"))]


@pytest.mark.xdist_group("finished")
def test_a_killed_run_goes_on(copied: Any) -> None:
    shutil.rmtree(copied.folder / "results/small/A")
    kept = {path: path.stat().st_mtime_ns for path in copied.folder.glob("results/small/B/*/*.nc")}
    command = [sys.executable, "-m", "snakemake", "-s", str(copied.repository / "Snakefile"), "--directory", str(copied.folder)]
    command += ["--configfile", str(copied.folder / "study.yaml"), "--cores", "1"]
    run = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=copied.repository, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not (copied.folder / "results/small/A/brain.nc").exists():
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)  # into the next job
    second = copied.snakemake()
    assert second.returncode == 1  # two runs at once: the later one is refused
    assert "lock" in (second.stdout + second.stderr).lower()
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert copied.snakemake("--unlock").returncode == 0
    done = copied.snakemake()
    assert done.returncode == 0, done.stderr[-3000:]
    assert copied.planned() == set()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert not [path for path in copied.folder.rglob("*.part*") if path.is_file()]
