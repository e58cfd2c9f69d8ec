"""Compiled loops that release the interpreter, spread over as many threads as torch may use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch


def spread(run: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> list[Any]:
    """The results of `run(*task)`, in the order of `tasks`."""
    todo = list(tasks)
    threads = min(torch.get_num_threads(), len(todo))
    if threads <= 1:
        return [run(*task) for task in todo]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda task: run(*task), todo))
