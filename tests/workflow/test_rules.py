"""What every rule states, and the checks that catalogues of workflows run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from isocortex.__main__ import STAGES


def rules(repository: Path) -> dict[str, str]:
    text = "\n\n".join(path.read_text() for path in sorted((repository / "workflow/rules").glob("*.smk")))
    parts = re.split(r"^rule (\w+):$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_there_is_a_rule_per_stage(repository: Path) -> None:
    assert set(rules(repository)) == set(STAGES)


def test_every_rule_states_what_it_needs(repository: Path) -> None:
    for name, body in rules(repository).items():
        for key in ("input", "output", "params", "log", "benchmark", "threads", "resources", "message", "shell"):
            assert re.search(rf"^    {key}:", body, flags=re.MULTILINE), f"{name} lacks {key}"
        assert "mem_mb=" in body
        assert "runtime=" in body
        assert f"python -m isocortex {name} " in body


def test_rules_that_follow_their_code_carry_its_digest(repository: Path) -> None:
    from isocortex.study.code import STAGES as FOLLOW

    assert {name for name, body in rules(repository).items() if "code=code(" in body} == set(FOLLOW)


def test_the_demo_plans_jobs_in_a_clean_folder(repository: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "snakemake", "-n", "-s", str(repository / "Snakefile"), "--directory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=repository, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^encode +12$", done.stdout + done.stderr, flags=re.MULTILINE)


def test_reading_the_snakefile_is_quick_because_nothing_heavy_is_imported(repository: Path) -> None:
    for path in [repository / "Snakefile", *(repository / "workflow/rules").glob("*.smk")]:
        assert not re.search(r"import (torch|numpy|xarray|pandas|nilearn|zarr)", path.read_text()), path
