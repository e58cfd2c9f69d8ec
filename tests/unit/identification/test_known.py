"""Known models by kind, and what is refused of them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from isocortex.errors import DataError
from isocortex.identification import Known, by_kind


def _known(kind: str, instance: str, n: int = 5, **layers: np.ndarray) -> Known:
    return Known(kind, instance, layers or {"a": np.arange(2.0 * n, dtype=np.float32).reshape(n, 2)})


def test_kinds_in_the_order_they_come_and_truths_with_an_instance_to_spare() -> None:
    kinds = by_kind([_known("b", "0"), _known("a", "0"), _known("b", "1")])
    assert kinds.names == ("b", "a")
    assert [[m.instance for m in some] for some in kinds.members] == [["0", "1"], ["0"]]
    assert kinds.truths == (0,)
    assert kinds.n_stimuli == 5


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ([], "identification: found 0 kinds of model (none), expected at least 2 to tell apart; add kinds"),
        ([_known("a", "0"), _known("a", "1")], "found 1 kinds of model (a), expected at least 2"),
        ([_known("a", "0"), _known("b", "0")], "found one instance of each kind, expected two of at least one"),
        ([_known("a", "0"), _known("a", "0"), _known("b", "0")], "kind 'a': found the same instance twice, expected each once"),
        ([_known("a", "0"), _known("b", "0", n=4)], "kind 'b', instance '0', layer 'a': found 4 stimuli, expected 5"),
        ([_known("a", "0"), Known("b", "0", {})], "kind 'b', instance '0': found no layers, expected at least one"),
        ([_known("a", "0"), _known("b", "0", a=np.ones((5, 2, 2)))], "found shape (5, 2, 2), expected (n_stimuli, n_units)"),
        ([_known("a", "0"), _known("b", "0", a=np.full((5, 2), np.nan))], "found NaN or infinite values, expected finite ones"),
    ],
    ids=["none", "one kind", "one instance", "twice", "other stimuli", "no layers", "maps", "nan"],
)
def test_what_cannot_be_told_apart_is_refused(known: list[Known], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        by_kind(known)
