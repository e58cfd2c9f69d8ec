"""Items made ready by a few threads while the ones before them are being used."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

MOST_THREADS = 8


def threads() -> int:
    """How many threads make things ready: one per core that this process may use, at most eight."""
    return max(1, min(MOST_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))


def ahead(function: Callable[[T], R], items: Iterable[T], most: int) -> Generator[R, None, None]:
    """`function(item)` of each item, in order; up to `most` of them are made, or being made, before they are asked for.

    What `function` raises is raised where its result would have come. Close the generator to end the threads early.
    """
    with ThreadPoolExecutor(threads(), thread_name_prefix="ahead") as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= max(1, most):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
