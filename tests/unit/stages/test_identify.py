"""The command `identify`: what it asks of the workflow, and what it prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
import yaml

from isocortex.__main__ import main
from isocortex.errors import StudyError
from isocortex.stages import identify
from isocortex.storage.tables import write_netcdf

SEEDED = {"source": "callable", "call": "isocortex.features.seeded:build", "seeds": [0, 1]}
STUDY: dict[str, Any] = {
    "study": "small",
    "dataset": {
        "name": "mine",
        "files": {"a.npz": None},
        "stimuli": {"all": {"n": 20, "ids": {"path": "a.npz", "key": "id"}}},
        "subjects": {"S1": {"stimuli": "all", "adapter": "npz", "path": "a.npz", "key": "S1", "dims": ["stimulus", "neuroid"]}},
        "regions": {"V1": {"where": {"roi": ["V1"]}}, "V4": {"where": {"roi": ["V4"]}}},
    },
    "regions": {"V1": {"label": "first area"}, "V4": {}},
    "models": {"gabor": {"source": "gabor"}},
    "identify_models": {"kinds": {"a": SEEDED, "b": {**SEEDED, "seeds": [2, 3]}}},
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(STUDY))
    for region in ("V1", "V4"):
        about = {"refused": f'{{"S1": "no repeats in {region}"}}', "kinds": "{}"}
        write_netcdf(xr.Dataset(attrs=about), tmp_path / f"results/small/{region}/identification.nc")
    return "s.yaml"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Command lines that would have been run; they end well."""
    seen: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        seen.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(identify.subprocess, "run", run)
    return seen


def test_all_regions_are_run_and_printed(study: str, asked: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identify", study, "--cores", "3"]) == 0
    (command,) = asked
    assert command[:4] == [sys.executable, "-m", "snakemake", "--snakefile"]
    assert Path(command[4]).is_file()
    assert command[5:] == [
        "--configfile", study, "--cores", "3", "--",
        "results/small/V1/identification.nc", "results/small/V4/identification.nc",
    ]  # fmt: skip
    first, second = capsys.readouterr().out.strip().split("\n\n")
    assert first == "first area: Whether the right model would be known cannot be said (no repeats in V1)."
    assert second.startswith("V4: ")


def test_one_region_is_asked_for(study: str, asked: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identify", study, "--region", "V4"]) == 0
    assert asked[0][-1] == "results/small/V4/identification.nc"
    assert "V1" not in capsys.readouterr().out


def test_an_unknown_region_is_told(study: str, asked: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identify", study, "--region", "V5"]) == 1
    assert "--region: unknown region 'V5'; expected one of V1, V4" in capsys.readouterr().err
    assert not asked


def test_a_study_that_does_not_ask_is_told_how(study: str, asked: list[list[str]], tmp_path: Path) -> None:
    (tmp_path / study).write_text(yaml.safe_dump({key: value for key, value in STUDY.items() if key != "identify_models"}))
    with pytest.raises(
        StudyError, match=r"s\.yaml: found no identify_models, expected it; add the line `identify_models: \{\}`"
    ):
        identify.identify(study)
    assert not asked


def test_a_workflow_that_stops_is_told(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identify.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    with pytest.raises(StudyError, match=r"s\.yaml: the workflow stopped \(exit code 1\)"):
        identify.identify(study)


def test_a_workflow_in_the_working_directory_serves_a_package_elsewhere(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identify, "SOURCE", tmp_path / "elsewhere")
    with pytest.raises(StudyError, match=r"found no Snakefile in .*elsewhere nor in .*; run this in the repository's folder"):
        identify.snakefile()
    (tmp_path / "Snakefile").write_text("")
    assert identify.snakefile() == Path("Snakefile")


def test_no_region_with_a_method_is_told(study: str, asked: list[list[str]], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(identify, "_targets", lambda *_: {})
    with pytest.raises(StudyError, match=r"s\.yaml: found no region that identify_models can ask anything of, expected a"):
        identify.identify(study)
    assert not asked
