"""When float16 holds a layer's values: eleven bits of each stimulus's largest, which is more than any noise ceiling asks."""

from __future__ import annotations

import numpy as np

LARGEST = 6e4  # with some room to float16's 65504
SMALLEST = float(np.finfo(np.float16).smallest_normal)  # 6.1e-5: below it bits are lost


def fits_half(values: np.ndarray) -> bool:
    """Whether `values` (n, …), finite, go into float16: none larger than 6e4, no row of tiny ones only (zeros may be)."""
    rows = values.reshape(len(values), -1)
    size = np.maximum(rows.max(1, initial=0), -rows.min(1, initial=0))
    return bool(((size <= LARGEST) & ((size == 0) | (size >= SMALLEST))).all())
