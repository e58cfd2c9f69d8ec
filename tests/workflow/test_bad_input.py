"""Bad recordings and files, through the command line: exit code 1, one line that says what and where, nothing half-written."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isocortex.__main__ import main
from isocortex.study import Study
from isocortex.study.jobs import Jobs

N, V, R = 24, 4, 2


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 6))
    signal = x @ rng.normal(size=(6, V))
    trials = signal[:, None] + 0.3 * rng.normal(size=(N, R, V))
    return {"trials": trials, "id": np.array([f"s{k:02d}" for k in range(N)]), "roi": np.array(["V1"] * V), "x": x}


def mapping(**changes: Any) -> dict[str, Any]:
    subject = {
        "adapter": "npz",
        "stimuli": "set",
        "path": "a.npz",
        "key": "trials",
        "dims": ["stimulus", "repeat", "neuroid"],
        "repeats": R,
    }
    made: dict[str, Any] = {
        "study": "mine",
        "dataset": {
            "name": "own",
            "root": "data",
            "files": {"a.npz": {}},
            "stimuli": {"set": {"n": N, "ids": {"path": "a.npz", "key": "id"}}},
            "subjects": {"S1": {**subject, "neuroid": {"roi": {"key": "roi"}}}},
            "regions": {"V1": {"where": {"roi": ["V1"]}}},
        },
        "models": {"x": {"source": "precomputed", "path": "a.npz", "key": "x"}},
        "splits": {"test": 0.25, "folds": 3},
        "inference": {"draws": 100, "permutations": 99},
    }
    for path, value in changes.items():
        *parents, last = path.split("/")
        inner = made
        for key in parents:
            inner = inner[key]
        inner[last] = value
    return made


Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Write the arrays, run every job's command until one fails: (stage that failed or '', what it said)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()

    def go(data: dict[str, np.ndarray] | None = None, **changes: Any) -> tuple[str, str]:
        if data is not None:
            np.savez(tmp_path / "data/a.npz", allow_pickle=False, **data)
        for job in Jobs(Study.from_mapping(mapping(**changes))):
            capsys.readouterr()
            if main([job.stage, "--spec", job.spec, "--device", "cpu"]):
                assert not Path(job.target).exists(), "a failed job left its output"
                assert not list(tmp_path.rglob("*.part*.nc"))
                said = capsys.readouterr().err
                lines = [line for line in said.splitlines() if "error:" in line]
                assert len(lines) == 1
                assert "Traceback" not in said
                assert lines[0].startswith(f"isocortex {job.stage}: error: ")
                return job.stage, lines[0]
        return "", ""

    return go


def test_a_sound_recording_runs_through(run: Run) -> None:
    assert run(arrays()) == ("", "")


@pytest.mark.parametrize(
    ("stage", "text", "data", "changes"),
    [
        ("fetch", "a.npz was not found and has no url", None, {}),
        ("fetch", "sha256 found", {}, {"dataset/files": {"a.npz": {"sha256": "0" * 64}}}),
        ("record", "trials", {"trials": None}, {}),
        ("record", "expected 3 dimensions", {"trials": np.zeros((N, R))}, {}),
        ("record", "expected 24", {"trials": np.zeros((N - 1, R, V))}, {}),
        ("stimuli", "s00", {"id": np.array(["s00"] * N)}, {}),
        ("stimuli", "expected 24", {"id": np.array(["a", "b"])}, {}),
        ("record", "inf", {"trials": np.full((N, R, V), np.inf)}, {}),
        ("region", "no subject has a neuroid left", {"trials": np.ones((N, R, V))}, {}),
        ("features", "24", {"x": np.ones((N - 2, 3))}, {}),
        ("features", "NaN", {"x": np.full((N, 3), np.nan)}, {}),
        ("record", "roi", {"roi": np.array(["V1"] * (V + 1))}, {}),
        ("region", "no subject has a neuroid left", {"roi": np.array(["IT"] * V)}, {}),
        ("splits", "folds", {}, {"splits": {"test": 0.5, "folds": 12}}),
    ],
)
def test_what_is_wrong_is_told(run: Run, stage: str, text: str, data: dict[str, Any] | None, changes: dict[str, Any]) -> None:
    held = None if data is None else {key: value for key, value in {**arrays(), **data}.items() if value is not None}
    failed, said = run(held, **changes)
    assert failed == stage, said
    assert text.lower() in said.lower()


def test_nan_trials_are_missing_repeats_and_constant_neuroids_are_counted(run: Run, tmp_path: Path) -> None:
    data = arrays()
    data["trials"][:5, 1] = np.nan
    data["trials"][:, :, 2] = 3.0
    assert run(data) == ("", "")
    from isocortex.storage.tables import read_tree

    brain = read_tree(tmp_path / "results/mine/V1/brain.nc")["S1"]
    assert json.loads(brain.attrs["dropped"]) == {"constant": 1}
    assert brain.sizes["neuroid"] == V - 1
    assert brain["n_repeats"].values.tolist() == [1] * 5 + [2] * (N - 5)


def test_one_neuroid_has_encoders_and_a_defined_rdm(run: Run) -> None:
    data = arrays()
    failed, said = run(
        {**data, "trials": data["trials"][:, :, :1], "roi": data["roi"][:1]}, compare={"rsa": {"rdm": "euclidean"}}
    )
    assert (failed, said) == ("", "")


def test_one_neuroid_has_no_correlation_distance(run: Run, tmp_path: Path) -> None:
    data = arrays()
    assert run({**data, "trials": data["trials"][:, :, :1], "roi": data["roi"][:1]}) == ("", "")
    from isocortex.storage.tables import read_netcdf, read_parquet

    reason = "region V1, subject S1: one neuroid, and a correlation RDM needs at least 3; use encoders, or rdm: euclidean"
    cell = read_netcdf(tmp_path / "results/mine/V1/x/rdm.nc")
    assert json.loads(cell.attrs["refused"]) == {"rsa": reason}
    assert set(read_parquet(tmp_path / "results/mine/V1/scores.parquet")["method"]) == {"ridge"}
    assert reason in (tmp_path / "results/mine/V1/report.html").read_text()


def test_one_stimulus(run: Run) -> None:
    data = {key: value[:1] if key in ("trials", "id", "x") else value for key, value in arrays().items()}
    failed, said = run(data, **{"dataset/stimuli": {"set": {"n": 1, "ids": {"path": "a.npz", "key": "id"}}}})
    assert failed == "splits"
    assert "1" in said


def test_features_of_other_stimuli_are_refused(run: Run) -> None:
    data = arrays()
    data["xid"] = np.array([f"t{k:02d}" for k in range(N)])
    failed, said = run(data, models={"x": {"source": "precomputed", "path": "a.npz", "key": "x", "ids": "xid"}})
    assert failed == "features"
    assert "s00" in said


class _Truncating(http.server.BaseHTTPRequestHandler):
    """Promises a thousand bytes, sends ten."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"0123456789")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def truncating() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Truncating)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/a.npz"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_truncated_download(run: Run, truncating: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from isocortex.recordings import download

    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    failed, said = run(None, **{"dataset/files": {"a.npz": {"url": truncating, "bytes": 1000}}})
    assert failed == "fetch"
    assert "990 more" in said
    assert not (tmp_path / "resources/own/a.npz").exists()
