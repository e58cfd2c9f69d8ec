"""What the catalogue and the chapter on spikes and fields say is what the adapters take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from isocortex.study.adapters import ADAPTERS
from isocortex.study.datasets import Dataset
from isocortex.study.parts import parts

NAMES = ("allen_neuropixels", "allen_two_photon", "brain_treebank", "steinmetz2019")


def entry(repository: Path, name: str) -> dict[str, Any]:
    found = yaml.safe_load((repository / f"config/catalogue/{name}.yaml").read_text(encoding="utf-8"))
    assert list(found) == [name]
    return found[name]


@pytest.mark.parametrize("name", NAMES)
def test_entries_are_of_the_form_that_is_read(repository: Path, name: str) -> None:
    raw = entry(repository, name)
    dataset = Dataset(**raw, name=name)
    for value in raw.get("subjects", {}).values():
        parsed = ADAPTERS[value["adapter"]](**value)
        assert parsed.stimuli in dataset.stimuli


def test_a_session_is_fetched_alone(repository: Path) -> None:
    found = parts(Dataset(**entry(repository, "allen_neuropixels")).model_dump())
    path = "sub-699733573/sub-699733573_ses-715093703.nwb"
    assert found["subject-s715093703"] == {path: {"url": f"dandi://000021/0.251116.2246/{path}"}}
    assert found["stimuli-scenes"]["natural_scenes"]["url"] is None
    found = parts(Dataset(**entry(repository, "allen_two_photon")).model_dump())
    base = "https://allen-brain-observatory.s3.us-west-2.amazonaws.com/visual-coding-2p/ophys_experiment_data"
    assert found["subject-s501794235"] == {"501794235.nwb": {"url": f"{base}/501794235.nwb"}}


def test_the_films_of_brain_treebank_have_their_addresses(repository: Path) -> None:
    files = entry(repository, "brain_treebank")["files"]
    films = [name for name in files if name.startswith("sub_")]
    assert len(films) == 26
    for name in films:
        subject, trial = re.fullmatch(r"sub_(\d+)_trial(\d{3})", name).groups()  # type: ignore[union-attr]
        folder = f"https://braintreebank.dev/data/subject_data/sub_{subject}/trial{trial}"
        assert files[name] == {"url": f"{folder}/{name}.h5.zip", "unpack": "zip"}


def test_every_snippet_of_the_chapter_is_an_entry(repository: Path) -> None:
    text = (repository / "docs/recordings.md").read_text(encoding="utf-8")
    chapter = text.split("# Spikes and fields\n", 1)[1].split("\n# ", 1)[0]
    snippets = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", chapter, re.DOTALL)]
    assert [one["adapter"] for one in snippets] == ["nwb", "nwb", "allen_ecephys", "allen_two_photon", "mne", "brain_treebank"]
    for one in snippets:
        assert ADAPTERS[one["adapter"]](**one).model_dump()["stimuli"] == one["stimuli"]
