"""What a list of trials showed: one id per image, and no two images of one id."""

from __future__ import annotations

import pytest

from isocortex.errors import DataError
from isocortex.recordings.shown_stimuli import shown


def listed(tmp_path, *names: str):
    (tmp_path / "trials.csv").write_text("image\n" + "\n".join(names) + "\n")
    return shown({"path": "trials.csv", "column": "image"}, tmp_path, "list")


def test_ids_are_names_without_folder_suffix_and_the_sign_of_a_repeat(tmp_path):
    found = listed(tmp_path, "cat/1.jpg", "dog/2.jpg", "cat/1.jpg", "rep_3.png", "3.png")
    assert found["stimulus_id"].tolist() == ["1", "2", "1", "3", "3"]


@pytest.mark.parametrize("names", [("cat/1.jpg", "dog/1.jpg"), ("a.png", "a.jpg")])
def test_two_images_of_one_name_are_not_made_one(tmp_path, names):
    with pytest.raises(
        DataError, match=rf"'{names[0]}' and '{names[1]}' have one name without folder and suffix, expected one"
    ):
        listed(tmp_path, *names)
