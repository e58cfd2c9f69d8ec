"""The command line: errors in one line and exit code 1."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from isocortex.__main__ import COMMANDS, STAGES, main
from isocortex.study.jobs import Jobs


def test_an_error_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("study: a\nencod: {}\n")
    assert main(["check", str(path)]) == 1
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith(f"isocortex check: error: {path}: the study: unknown key 'encod'; expected one of study")
    assert streams.err.count("\n") == 1


def test_a_spec_must_be_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "--spec", "{"]) == 1
    assert "isocortex encode: error: --spec: not JSON" in capsys.readouterr().err


def test_a_spec_of_another_stage_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "--spec", json.dumps({"stage": "report"})]) == 1
    assert "--spec: is of stage 'report', expected 'encode'" in capsys.readouterr().err


def test_plan_prints_every_stage_and_a_total(
    capsys: pytest.CaptureFixture[str], repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    assert main(["plan", "config/config.yaml"]) == 0
    out = capsys.readouterr().out
    for word in ("fetch", "features", "kernels", "encode", "compare", "report", "all", "memory", "disk"):
        assert word in out


def test_commands_are_the_stages_of_the_jobs(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from isocortex.study import load_study

    monkeypatch.chdir(repository)
    assert tuple(Jobs(load_study("config/config.yaml")).by_stage) == STAGES


def test_help_names_every_command_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    people = [name for name in COMMANDS if name not in STAGES]
    assert people == ["check", "plan", "diff", "export", "identify"]
    assert all(f"\n    {name} " in out for name in people)


def test_help_reads_without_heavy_imports() -> None:
    code = (
        "import sys; from isocortex.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    )
    assert "region by region" in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
