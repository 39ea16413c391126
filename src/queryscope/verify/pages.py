"""HTML as a tree: what differs between two pages is named by element, not by line."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset(
    "area base br col embed hr img input link meta param source track wbr".split()  # noqa: SIM905 - the list of the standard
)
_ENDED_BY_ITSELF = frozenset({"dd", "dt", "li", "option", "p", "td", "th", "tr"})
_KEPT_AS_WRITTEN = frozenset({"pre", "script", "style", "textarea"})


@dataclass(slots=True)
class Element:
    """An element of a page.

    Attributes:
        tag: Its name.
        attributes: Values by name; the order they were written in says nothing.
        children: Elements and texts. White space counts as one blank, and as nothing at the ends.
    """

    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    def steps(self) -> list[tuple[str, object]]:
        """Return attributes and children, each with the step of a path that leads there."""
        found: list[tuple[str, object]] = [
            (f"@{name}", value) for name, value in self.attributes.items()
        ]
        seen: dict[str, int] = {}
        for child in self.children:
            name = child.tag if isinstance(child, Element) else "text()"
            seen[name] = seen.get(name, 0) + 1
            found.append((f" > {name}[{seen[name]}]", child))
        return found


def tree_of(text: str) -> Element:
    """Return the tree of a page; broken markup gives a tree as well, the same one each time."""
    builder = _Builder()
    builder.feed(text)
    builder.close()
    return builder.root


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("page")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _ENDED_BY_ITSELF and self._open[-1].tag == tag:
            self._open.pop()
        element = Element(tag, dict(reversed(attrs)))  # the first of two counts, as in browsers
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, dict(reversed(attrs))))

    def handle_endtag(self, tag: str) -> None:
        for depth in range(len(self._open) - 1, 0, -1):
            if self._open[depth].tag == tag:
                del self._open[depth:]
                return

    def handle_data(self, data: str) -> None:
        inside = self._open[-1]
        text = data if inside.tag in _KEPT_AS_WRITTEN else " ".join(data.split())
        if not text:
            return
        if inside.children and isinstance(inside.children[-1], str):
            inside.children[-1] += text if inside.tag in _KEPT_AS_WRITTEN else f" {text}"
        else:
            inside.children.append(text)
