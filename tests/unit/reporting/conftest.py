"""Synthetic regions as fixtures."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from regions import Plan, make_region, verdict_of

from isocortex.reporting.pages import region_page


class Reader(HTMLParser):
    """What a page holds: tags, addresses, text, and the tags left open."""

    VOID = frozenset({"meta", "link", "br", "img", "hr", "input"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.addresses: list[tuple[str, str, str]] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                self.addresses.append((tag, name, value or ""))
            if name.startswith("on"):
                self.handlers.append(f"{tag} {name}")
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.stack or self.stack[-1] not in ("script", "style"):
            self.text.append(data)


def read_page(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.stack
    return reader


@pytest.fixture(scope="session")
def read() -> Callable[[str], Reader]:
    """A page, parsed; every tag is closed in its place."""
    return read_page


@pytest.fixture(scope="session")
def render() -> Callable[..., str]:
    """The page of a plan; further arguments are the verdict's."""

    def page(plan: Plan | None = None, **said: object) -> str:
        plan = plan or Plan()
        region = make_region(plan)
        return region_page(region, dict.fromkeys(region.methods, verdict_of(plan, **said)))

    return page
