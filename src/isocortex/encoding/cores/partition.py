"""Which stimuli train a core that several subjects share: none that any of them is tested on, by what is on the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocortex.errors import DataError


@dataclass(frozen=True)
class Share:
    """One subject's stimuli: indices that train, stop the training and test; and how many of the training stimuli of its split
    are left out, because a subject is tested on the same picture."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    left_out: int


def partition(digests: Mapping[str, Sequence[str]], outer: Mapping[str, Mapping[str, Any]]) -> dict[str, Share]:
    """Shares by subject, from the digests of each subject's images and its outer split {train, test, inner}.

    A picture that is tested in one subject is neither trained nor validated in any; one that is in the first inner fold of one
    stops the training for all. Equal digests are one picture, whatever it is called. Raises `DataError` for stimuli without
    image, and for a subject that has none left to train or to validate.
    """
    for name, own in digests.items():
        if "" in own:
            raise DataError(
                f"core: subject {name}: found {list(own).count('')} stimuli without image, expected images; "
                "a core is trained on them: leave it out"
            )
    tested = {str(digests[name][row]) for name, split in outer.items() for row in split["test"]}
    checked = {str(digests[name][row]) for name, split in outer.items() for row in split["inner"][0]} - tested
    shares = {name: _share(digests[name], split, tested, checked) for name, split in outer.items()}
    for name, share in shares.items():
        if not len(share.train) or not len(share.validation):
            raise DataError(
                f"core: subject {name}: found {len(share.train)} training and {len(share.validation)} validation stimuli that "
                "no subject is tested on, expected some of both; lower splits.test, or train subjects apart"
            )
    check_apart(digests, shares)
    return shares


def _share(own: Sequence[str], split: Mapping[str, Any], tested: set[str], checked: set[str]) -> Share:
    rows = [row for row in split["train"] if own[row] not in tested]
    train = np.array([row for row in rows if own[row] not in checked], dtype=np.int64)
    validation = np.array([row for row in rows if own[row] in checked], dtype=np.int64)
    return Share(train, validation, np.asarray(split["test"], dtype=np.int64), len(split["train"]) - len(rows))


def check_apart(digests: Mapping[str, Sequence[str]], shares: Mapping[str, Share]) -> None:
    """Raise `DataError` where a picture that trains or validates is tested in any subject, or trains and validates."""

    def pictures(part: str) -> set[str]:
        return {str(digests[name][row]) for name, share in shares.items() for row in getattr(share, part)}

    train, validation, test = (pictures(part) for part in ("train", "validation", "test"))
    common = (train & test) | (validation & test) | (train & validation)
    if common:
        raise DataError(f"core: found {len(common)} images in two of training, validation and test, expected none; report this")
