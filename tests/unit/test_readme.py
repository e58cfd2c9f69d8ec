"""What the README shows is what the code takes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import yaml

from isocortex.study import Study
from isocortex.study.jobs import Jobs


def blocks(repository: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (repository / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_yaml_is_a_study(repository: Path) -> None:
    models, *recordings = (yaml.safe_load(block) for block in blocks(repository, "yaml"))
    assert [entry["dataset"]["name"] for entry in recordings] == ["scenes", "spikes", "mine", "matrices"]
    for recording in recordings:
        study = Study.from_mapping({"study": "mine", **models, **recording})
        assert list(study.models) == ["resnet50", "dino", "captions", "mine", "untrained", "theirs"]
        assert list(study.regions) == list(recording["dataset"]["regions"])
        assert len(list(Jobs(study))) > 20


def test_the_notebook_lines_run(repository: Path) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 8))
    space = {"features": features, "responses": features @ rng.normal(size=(8, 5)) + 0.1 * rng.normal(size=(60, 5))}
    space |= {"gabor": features[:, :4], "network": features[:, 4:]}
    space |= {"responses_of_V1": space["responses"][:, :2], "responses_of_V4": space["responses"][:, 2:]}
    space |= {name: space["responses"][:, None] + rng.normal(size=(60, 10, 5)) for name in ("trials", "more_trials")}
    space["rdms"] = rng.random((4, 1, 60 * 59 // 2)) * np.ones((1, 2, 1)) + rng.random((1, 2, 60 * 59 // 2))
    for block in blocks(repository, "python"):
        exec(block, space)  # the README's own lines
    assert 0.3 < space["similarity"] <= 1
    assert len(space["kappa"]) == 3
    assert space["groups"].shape == (60,)
    assert 0 < space["angle"] < np.pi / 2
    assert space["fit"].predict(features).shape == (60, 5)
    np.testing.assert_allclose(np.hstack([space["V1"].coef, space["V4"].coef]), space["fit"].coef, atol=1e-8)
    for name in ("joint", "brain_score"):
        inputs = [features[:, :4], features[:, 4:]] if name == "joint" else features
        assert np.corrcoef(space[name].predict(inputs)[:, 0], space["responses"][:, 0])[0, 1] > 0.9


def test_files_and_commands_that_are_named_exist(repository: Path) -> None:
    text = (repository / "README.md").read_text(encoding="utf-8")
    for name in [*re.findall(r"\]\(([^)]+)\)", text), "config/README.md", "config/catalogue", "CONTRIBUTING.md"]:
        assert (repository / name).exists(), name
    makefile = (repository / "Makefile").read_text()
    for target in re.findall(r"^make (\S+)", text, flags=re.MULTILINE):
        assert f"\n{target}:" in makefile
    assert "make test" in (repository / ".ci/run").read_text()
