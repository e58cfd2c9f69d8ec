"""Ids of what was shown, against those of the stimulus set."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from isocortex.errors import DataError


def check_known(shown: Iterable[str], known: Iterable[str], where: str, what: str, advice: str) -> None:
    """Raise `DataError` where some of `shown` are not among `known`, the ids of the set.

    what : what the ids are of, in the plural; advice : what to do, which ends the message.
    """
    unknown = np.setdiff1d(np.asarray(list(shown), dtype=str), np.asarray(list(known), dtype=str))
    if len(unknown):
        raise DataError(f"{where}: {len(unknown)} {what} are not in the stimulus set (first {str(unknown[0])!r}); {advice}")
