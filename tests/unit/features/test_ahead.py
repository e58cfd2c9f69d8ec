"""Things made ready by threads: in order, a few at a time, errors where they belong."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from isocortex.features import ahead as module
from isocortex.features.ahead import ahead


@pytest.fixture(autouse=True)
def _four_threads(monkeypatch):
    monkeypatch.setattr(module, "threads", lambda: 4)


def test_results_come_in_the_order_of_the_items():
    slow_first = lambda k: (time.sleep(0.02 if k % 4 == 0 else 0), k)[1]
    assert list(ahead(slow_first, range(40), 8)) == list(range(40))


@pytest.mark.parametrize("most", [1, 3, 10])
def test_no_more_are_made_than_asked_for_and_so_many(most):
    made = []
    with closing(ahead(lambda k: made.append(k) or k, range(100), most)) as items:
        for used in range(1, 20):
            assert next(items) == used - 1
            time.sleep(0.002)
            assert len(made) <= used - 1 + most


def test_several_are_made_at_once_while_others_are_used():
    together = threading.Barrier(4, timeout=20)  # broken unless four threads come
    assert list(ahead(lambda k: together.wait() >= 0, range(8), 8)) == [True] * 8


def test_an_error_comes_where_its_result_would_have():
    def some(k: int) -> int:
        if k == 5:
            raise ValueError("the fifth")
        return k

    items, got = ahead(some, range(50), 8), []
    with pytest.raises(ValueError, match="the fifth"):
        got.extend(iter(lambda: next(items), None))
    assert got == [0, 1, 2, 3, 4]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_closing_ends_the_threads():
    items = ahead(lambda k: k, range(1000), 8)
    assert next(items) == 0
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
