"""Near-duplicates: the hash by its definition, pairs against all pairs, and what must not be joined."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from isocortex.recordings.near_duplicates import clusters, near_pairs, perceptual_hash, thumbnail
from isocortex.recordings.stimuli import make_table


def scene(seed: int, size: tuple[int, int] = (96, 120)) -> np.ndarray:
    """A picture with power at low frequencies, as photographs have it."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, size=(9, 11, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC))


def test_hash_is_the_sign_about_the_median_of_the_cosine_transform():
    grey = np.random.default_rng(1).uniform(0, 255, size=(32, 32))
    place = np.arange(32)
    low = np.array(
        [
            [
                (grey * np.outer(np.cos(np.pi * (place + 0.5) * u / 32), np.cos(np.pi * (place + 0.5) * v / 32))).sum()
                for v in range(1, 9)
            ]
            for u in range(1, 9)
        ]
    )
    bits = np.unpackbits(perceptual_hash(grey[None])[0])
    np.testing.assert_array_equal(bits, (low > np.median(low)).ravel())
    assert bits.sum() == 32


def test_thumbnail_is_the_mean_grey_of_areas():
    picture = np.repeat(np.repeat(np.arange(0, 256, 8, dtype=np.uint8)[:, None], 2, axis=0), 64, axis=1)[..., None]
    grey = thumbnail(np.repeat(picture, 3, axis=2))
    assert grey.shape == (32, 32)
    np.testing.assert_array_equal(grey[:, 0], np.arange(0, 256, 8))


def test_changed_copies_are_found_and_other_pictures_are_not():
    base = scene(0)
    small = np.asarray(Image.fromarray(base).resize((60, 48), Image.Resampling.BILINEAR))
    brighter = np.clip(base.astype(int) + 15, 0, 255).astype(np.uint8)
    noisy = np.clip(base + np.random.default_rng(5).normal(scale=8, size=base.shape), 0, 255).astype(np.uint8)
    others = [scene(seed) for seed in range(1, 8)]
    greys = np.stack([thumbnail(image) for image in [base, *others, small, brighter, noisy, base[:, ::-1]]])
    assert near_pairs(greys) == [(i, j) for k, i in enumerate((0, 8, 9, 10, 11)) for j in (0, 8, 9, 10, 11)[k + 1 :]]
    assert clusters(12, near_pairs(greys)).tolist() == [0, *[-1] * 7, 0, 0, 0, 0]


def test_like_hashes_of_other_pixels_are_no_pair():
    base = thumbnail(scene(0))
    spotted = base.copy()
    spotted[::2, ::2] += 160  # high frequencies only: the hash does not see it
    spotted[1::2, 1::2] += 160
    spotted[::2, 1::2] -= 160
    spotted[1::2, ::2] -= 160
    both = np.stack([base, spotted])
    first, second = (np.unpackbits(row) for row in perceptual_hash(both))
    assert (first != second).sum() <= 6
    assert np.corrcoef(base.ravel(), spotted.ravel())[0, 1] < 0.95
    assert near_pairs(both) == []


def test_pictures_without_contrast_are_in_no_pair():
    flat = np.full((3, 32, 32), 128, dtype=np.float32)
    flat[1] += np.random.default_rng(0).normal(scale=0.5, size=(32, 32))
    assert near_pairs(flat) == []
    assert near_pairs(np.zeros((0, 32, 32), np.float32)) == []


def test_pairs_are_those_of_all_against_all():
    rng = np.random.default_rng(2)
    base = np.stack([thumbnail(scene(seed)) for seed in range(12)])
    greys = base[rng.integers(0, 12, size=60)] + rng.normal(scale=4, size=(60, 32, 32)).astype(np.float32)
    turned = rng.random(60) < 0.3
    greys[turned] = greys[turned, :, ::-1]
    bits = np.unpackbits(perceptual_hash(greys), axis=1)
    mirrored = np.unpackbits(perceptual_hash(greys[:, :, ::-1]), axis=1)
    expected = []
    for i in range(60):
        for j in range(i + 1, 60):
            same = (bits[i] != bits[j]).sum() <= 6 and np.corrcoef(greys[i].ravel(), greys[j].ravel())[0, 1] > 0.95
            turn = greys[j][:, ::-1].ravel()
            if same or ((bits[i] != mirrored[j]).sum() <= 6 and np.corrcoef(greys[i].ravel(), turn)[0, 1] > 0.95):
                expected.append((i, j))
    assert len(expected) > 20
    assert near_pairs(greys) == expected


def test_clusters_are_chained_and_named_by_their_first():
    assert clusters(7, [(4, 6), (1, 4), (2, 3)]).tolist() == [-1, 1, 2, 2, 1, -1, 1]


def test_thousands_of_pictures_take_seconds():
    greys = np.random.default_rng(0).uniform(0, 255, size=(4000, 32, 32)).astype(np.float32)
    greys[3999] = greys[17]
    start = time.process_time()
    assert near_pairs(greys) == [(17, 3999)]
    assert time.process_time() - start < 5


@pytest.mark.parametrize("wanted", [["", "b", "", "b", "b"]])
def test_table_names_the_first_of_each_cluster(tmp_path, wanted):
    (tmp_path / "images").mkdir()
    base = scene(3)
    pictures = [scene(1), base, scene(2), base[:, ::-1], np.clip(base.astype(int) + 9, 0, 255).astype(np.uint8)]
    for name, picture in zip("abcde", pictures, strict=True):
        Image.fromarray(np.ascontiguousarray(picture)).save(tmp_path / "images" / f"{name}.png")
    table = make_table({"n": 5, "images": {"path": "images"}}, tmp_path, "set")
    assert table["near"].tolist() == wanted
    assert len(set(table["digest"])) == 5
    assert make_table({"n": 3, "numbered": True}, tmp_path, "set")["near"].tolist() == ["", "", ""]
