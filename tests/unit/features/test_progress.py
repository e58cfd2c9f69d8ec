"""Progress on a terminal and in a log file."""

from __future__ import annotations

import io
import sys

import pytest

from isocortex.features import progress as module
from isocortex.features.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def shown(monkeypatch):
    """Every update is shown."""
    monkeypatch.setattr(module, "LOG_SECONDS", 0.0)
    monkeypatch.setattr(module, "TERMINAL_SECONDS", 0.0)

    def run(stream: io.StringIO) -> str:
        monkeypatch.setattr(sys, "stderr", stream)
        with progress(300, 100) as bar:
            for _ in range(4):
                bar.update(50)
        return stream.getvalue()

    return run


def test_a_log_file_has_whole_lines(shown):
    lines = shown(io.StringIO()).split("\n")
    assert lines[-1] == ""
    assert all(line.startswith("features: ") and "stimuli/s]" in line for line in lines[:-1])
    counts = [line.split("| ")[1].split(" ")[0] for line in lines[:-1]]
    assert list(dict.fromkeys(counts)) == ["100/300", "150/300", "200/300", "250/300", "300/300"]
    assert all(line.isascii() and len(line) <= 100 for line in lines)


def test_a_terminal_has_one_line_that_moves(shown):
    text = shown(Terminal())
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert text.count("\r") >= 5


def test_nothing_is_shown_of_what_is_soon_over(capsys):
    with progress(10, delay=5.0) as bar:
        bar.update(10)
    assert capsys.readouterr().err == ""
