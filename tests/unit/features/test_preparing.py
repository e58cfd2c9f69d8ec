"""Placement by visual angle, and the simple preparations."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

import numpy as np
import pytest

from isocortex.errors import StudyError
from isocortex.features.model import Context
from isocortex.features.preparing import GRAY, UNIT, Preparation, placed, plain, preparation


def test_an_image_keeps_its_degrees_in_the_middle_of_the_canvas() -> None:
    image = np.full((20, 40, 3), 7, np.uint8)
    canvas = placed(image, degrees=8, canvas=16)
    assert canvas.shape == (80, 80, 3)
    inside = (canvas == 7).all(2)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (30, 49, 20, 59)
    assert inside.sum() == 800
    np.testing.assert_array_equal(canvas[0, 0], GRAY)


def test_an_image_larger_than_the_canvas_is_cut_about_its_middle() -> None:
    image = np.arange(30 * 40 * 3, dtype=np.uint8).reshape(30, 40, 3)
    np.testing.assert_array_equal(placed(image, degrees=8, canvas=4), image[5:25, 10:30])
    wide = placed(image[:10], degrees=8, canvas=4, color=(1, 2, 3))
    np.testing.assert_array_equal(wide[5:15], image[:10, 10:30])
    assert (wide[:5] == (1, 2, 3)).all()


def test_what_a_crop_takes_is_added_so_that_the_network_sees_the_degrees_asked_for(context: Context) -> None:
    """A preparation that crops to the middle half of its input still sees 16 degrees, of which the image spans 8."""

    def middle(image: np.ndarray):
        quarter = len(image) // 4
        return UNIT.function(image[quarter:-quarter, quarter:-quarter])

    own, entry = Preparation(middle, "middle", 0.5), {"place": {"degrees": 16.0, "background": [0, 0, 0]}}
    seen = preparation(entry, replace(context, degrees=8.0), own).function(np.full((20, 20, 3), 255, np.uint8))
    assert seen.shape == (3, 40, 40)
    assert float(seen[0, 20].sum()) == 20


def test_placement_is_part_of_what_a_preparation_is(context: Context) -> None:
    known = replace(context, degrees=8.0)
    entries = [
        {},
        {"place": {"degrees": 16.0}},
        {"place": {"degrees": 12.0}},
        {"place": {"degrees": 16.0, "background": [0, 0, 0]}},
    ]
    settings = [str(preparation(entry, known).settings) for entry in entries]
    settings.append(str(preparation(entries[1], replace(context, degrees=7.0)).settings))
    assert len(set(settings)) == 5
    with pytest.raises(StudyError, match=r"models\.m\.place: how many degrees the images span is not known"):
        preparation(entries[1], context)


def test_settings_hold_no_addresses() -> None:
    class Mode(Enum):
        CUBIC = "bicubic"

    assert plain({"a": Mode.CUBIC, "b": (1, object()), "c": {2, 1}}) == {
        "a": "bicubic",
        "b": [1, "builtins.object"],
        "c": [1, 2],
    }
