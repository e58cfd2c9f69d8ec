"""One line of progress: on a terminal it moves, in a log file it is written anew every half minute."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from tqdm import tqdm

LOG_SECONDS, TERMINAL_SECONDS = 30.0, 0.5


class _Lines:
    """A log file: what would move back to the start of a line starts a new one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        # The carriage return of the first line, and the end of the last, would be empty lines.
        text = text.strip("\r\n")
        if text.strip():
            self._stream.write(text + "\n")

    def flush(self) -> None:
        self._stream.flush()


def progress(total: int, done: int = 0, what: str = "features", delay: float = 0.0) -> Any:
    """A bar on standard error, in stimuli per second, of which `done` count as made before; nothing before `delay` seconds."""
    moves = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=done,
        desc=what,
        unit=" stimuli",
        file=sys.stderr if moves else _Lines(sys.stderr),
        mininterval=TERMINAL_SECONDS if moves else LOG_SECONDS,
        miniters=1,
        ascii=not moves,
        ncols=None if moves else 100,
        delay=delay,
    )
