"""What was read in modules is remembered, and a memory that is lost or spoilt changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from isocortex.study import code, parsed


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, which nothing has been written to."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    parsed._new.clear()
    return parsed.file_of_parses()


def again() -> str:
    """The digest as another process would make it."""
    code.forget()
    parsed._kept.cache_clear()
    try:
        return code.code_digest("splits")
    finally:
        code.forget()
        parsed._kept.cache_clear()


def test_a_second_process_parses_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = again()
    assert cache.is_file()

    def no_parse(source: bytes) -> None:
        raise AssertionError("parsed again")

    monkeypatch.setattr(code.ast, "parse", no_parse)
    assert again() == first


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}'])
def test_a_spoilt_cache_is_done_without(cache: Path, text: str) -> None:
    first = again()
    cache.write_text(text)
    assert again() == first


@pytest.mark.parametrize("entry", [None, "text", ["digest"], ["digest", ["isocortex.x", 1]], [1, []]])
def test_an_entry_of_another_form_is_read_anew(cache: Path, entry: object) -> None:
    first = again()
    cache.write_text(json.dumps(dict.fromkeys(json.loads(cache.read_text()), entry)))
    assert again() == first


def test_no_place_to_write_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(again()) == 16
