"""Links between pages lead to files and headings that exist."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.markdown import DOCS, ROOT, anchors, links, pages


def broken(page, text, root=ROOT):
    """Return the relative links of a page that lead nowhere."""
    found = []
    for target in links(text):
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not file.exists() or not file.is_relative_to(root):
            found.append(target)
        elif parts.fragment and file.suffix == ".md":
            content = text if file == page else file.read_text(encoding="utf-8")
            if parts.fragment not in anchors(content):
                found.append(target)
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page):
    """Every relative link of a page names a file of the project, and a heading of that file."""
    assert broken(page, page.read_text(encoding="utf-8")) == []


def test_links_are_found_at_all():
    """The README and the index of the documentation link to pages: the check sees them."""
    for page in (ROOT / "README.md", DOCS / "README.md"):
        relative = [
            target
            for target in links(page.read_text(encoding="utf-8"))
            if not urlsplit(target).scheme
        ]
        assert len(relative) > 10


def test_every_page_is_reached_from_the_index():
    """Whoever starts at the index of the documentation finds each page of it by links."""
    seen = set()
    waiting = [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        for target in links(page.read_text(encoding="utf-8")):
            path = urlsplit(target).path
            if path.endswith(".md") and not urlsplit(target).scheme:
                waiting.append((page.parent / path).resolve())
    assert sorted(set(DOCS.rglob("*.md")) - seen) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](there.md)", []),
        ("[a](there.md#two-words)", []),
        ('<a id="here"></a>\n[a](#here)', []),
        ("[a](gone.md)", ["gone.md"]),
        ("![a](gone.png)", ["gone.png"]),
        ("[a](there.md#gone)", ["there.md#gone"]),
        ("[a](#gone)", ["#gone"]),
        ("[a](../../outside.md)", ["../../outside.md"]),
        ("```\n[a](gone.md)\n```\n`[a](gone.md)`", []),
        ("[a](https://example.org/gone.md)", []),
    ],
)
def test_a_link_that_leads_nowhere_is_found(tmp_path, text, expected):
    """Missing files, missing headings and paths out of the project are broken; code is not."""
    folder = tmp_path / "project" / "docs"
    folder.mkdir(parents=True)
    (tmp_path / "outside.md").write_text("", encoding="utf-8")
    (folder / "there.md").write_text("# Two words\n", encoding="utf-8")
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    assert broken(page, text, tmp_path / "project") == expected
