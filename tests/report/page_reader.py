"""A reader of pages that counts what a browser would see: elements, attributes, headings, tables."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path


@dataclass
class Element:
    """One element: its tag, its attributes and all text in it."""

    tag: str
    attributes: dict[str, str]
    text: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """All text in it, runs of white space as one space."""
        return " ".join("".join(self.text).split())


class Page(HTMLParser):
    """All elements of a page, in order."""

    EMPTY = frozenset({"meta", "link", "img", "br"})

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in self.EMPTY:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass
        for element in self._open:  # cells and paragraphs stand apart
            element.text.append(" ")

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text.append(data)

    def all(self, *tags: str) -> list[Element]:
        """Return the elements of these tags, in order."""
        return [element for element in self.elements if element.tag in tags]

    @property
    def words(self) -> str:
        """All text of the body."""
        return self.all("body")[0].words
