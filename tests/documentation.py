"""The pages of the documentation, taken apart for tests."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block; what it is in is absent where the page does not say."""

    language: str
    text: str


@dataclass(frozen=True)
class Page:
    """One page."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def blocks(self) -> Sequence[Block]:
        return [Block(*found) for found in _FENCE.findall(self.text)]

    @property
    def prose(self) -> str:
        return _FENCE.sub("", self.text)

    @property
    def code_spans(self) -> Sequence[str]:
        return code_spans(self.prose)

    @property
    def links(self) -> Sequence[str]:
        return _LINK.findall(_CODE.sub("", self.prose))

    @property
    def anchors(self) -> set[str]:
        return {_anchor(it) for it in _HEADING.findall(self.prose)}

    @property
    def sections(self) -> Mapping[str, str]:
        """The text under each heading of the second level, by heading."""
        return {
            heading: text
            for heading, _, text in (
                it.partition("\n") for it in f"\n{self.text}".split("\n## ")[1:]
            )
        }

    def rows(self, first_cell: str) -> Iterator[Sequence[str]]:
        """Yield the rows of the tables whose header begins with a cell."""
        is_ours = False
        for line in self.prose.splitlines():
            if not line.startswith("|"):
                is_ours = False
                continue
            cells = [it.strip() for it in line.strip("|").split("|")]
            if is_ours and set(cells[0]) != set("-"):
                yield cells
            is_ours = is_ours or cells[0] == first_cell


def code_spans(text: str) -> Sequence[str]:
    """Give what stands between backticks, each on one line."""
    return [" ".join(it.split()) for it in _CODE.findall(text)]


def page(name: str) -> Page:
    """Give a page by its path in the repository."""
    return Page(ROOT / name)


def _anchor(heading: str) -> str:
    """Give the address of a heading, as the forges make it."""
    words = re.sub(r"[^\w\- ]", "", heading.lower())
    return words.replace(" ", "-")


PAGES: Sequence[Page] = [
    *map(page, ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *map(Page, sorted((ROOT / "docs").rglob("*.md"))),
]
