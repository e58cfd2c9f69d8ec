"""Pictures that are nearly the same: found by a perceptual hash, held to be so by the correlation of their pixels.

Seen on real sets: of the 640 pictures of one session of Cowley's V4 data five pairs are found, each of one scene with another
object in front of it; of the 1200 of the other session and the 118 of the Allen Institute (no two correlate above .70) none.
Every candidate there was verified; a looser hash (10 bits) brings some pairs of like scenes, and pairs that correlate at .31.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

SIDE = 32
# Bits by which two hashes of one picture may differ (of 64), and the correlation of their pixels that decides.
BITS, ALIKE = 6, 0.95
# Standard deviation of grey values (0 to 255) below which a picture has no form to compare.
PLAIN = 2.0
_BANDS = 8


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """A uint8 picture (H, W, 3) in grey at 32 × 32 (mean over areas, so that its size does not tell), float32 from 0 to 255."""
    from PIL import Image

    grey = Image.fromarray(picture).convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)


def perceptual_hash(greys: np.ndarray) -> np.ndarray:
    """The 64 lowest frequencies of the discrete cosine transform of greys (n, 32, 32), each above its picture's median or not.

    (n, 8) uint8, as in C. Zauner, *Implementation and benchmarking of perceptual image hash functions* (2010): rows and columns
    1 to 8 of the transform, without those of frequency 0.
    """
    from scipy.fft import dctn

    low = np.asarray(dctn(greys.astype(np.float64), axes=(1, 2), norm="ortho"))[:, 1:9, 1:9].reshape(len(greys), 64)
    return np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)


def near_pairs(greys: np.ndarray) -> list[tuple[int, int]]:
    """Pairs i < j of greys (n, 32, 32) that are nearly the same picture, or its mirror image.

    Candidates' hashes differ by at most 6 bits; smooth pictures have like hashes, so their pixels must correlate above .95.
    Pictures without contrast are in no pair. Not all pairs are looked at: hashes that differ by at most 6 bits agree in one of
    their 8 bytes, so that only those which share a byte in its place are compared.
    """
    shown = np.flatnonzero(greys.reshape(len(greys), -1).std(axis=1) >= PLAIN) if len(greys) else np.zeros(0, np.int64)
    if len(shown) < 2:
        return []
    flat = greys[shown].reshape(len(shown), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    mirrored = flat.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(flat.shape)
    own = perceptual_hash(greys[shown])
    found: set[tuple[int, int]] = set()
    for others, pixels in ((own, flat), (perceptual_hash(greys[shown][:, :, ::-1]), mirrored)):
        for left, right in _candidates(own, others):
            alike = np.einsum("ij,ij->i", flat[left], pixels[right]) > ALIKE
            found.update(zip(shown[left[alike]].tolist(), shown[right[alike]].tolist(), strict=True))
    return sorted(found)


def _candidates(own: np.ndarray, others: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows i < j of hashes (n, 8) that differ by at most `BITS` bits, in parts; a pair may come again."""
    for band in range(_BANDS):
        order = np.argsort(others[:, band], kind="stable")
        edges = np.searchsorted(others[order, band], np.arange(257))
        for i in range(len(own)):
            byte = int(own[i, band])
            rows = order[edges[byte] : edges[byte + 1]]
            rows = rows[rows > i]
            near = rows[_COUNTS[own[i] ^ others[rows]].sum(axis=1) <= BITS]
            if len(near):
                yield np.full(len(near), i), near


_COUNTS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)


def clusters(n: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """The first member of the cluster that each of `n` is joined to by pairs, -1 for those in none."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left, right = np.asarray(pairs, dtype=np.int64).reshape(-1, 2).T
    _, label = connected_components(coo_array((np.ones(len(left)), (left, right)), shape=(n, n)), directed=False)
    _, first, counts = np.unique(label, return_index=True, return_counts=True)
    return np.where(counts[label] > 1, first[label], -1) if n else np.zeros(0, dtype=np.int64)
