"""Diffs as Proposals: where they fit, and where they are refused with the reason."""

from __future__ import annotations

import pytest

from queryscope.verify.patch import PatchError, apply, from_diff

SOURCE = "one\ntwo\nthree\nfour\nfive\n"


@pytest.fixture
def root(tmp_path):
    """Return a tree with one file."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "a.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def a_hunk(body, head="@@ -2,3 +2,3 @@", names=("a/app/a.py", "b/app/a.py")):
    """Return a diff of one hunk."""
    return f"--- {names[0]}\n+++ {names[1]}\n{head}\n{body}"


def applied(root, text):
    """Return the file after a diff."""
    apply(from_diff(text, root, origin="patch"), root)
    return (root / "app" / "a.py").read_text(encoding="utf-8")


def test_hunk_changes_its_lines(root):
    """What is told is done, and no more."""
    text = a_hunk(" two\n-three\n+3\n four\n")
    assert applied(root, text) == "one\ntwo\n3\nfour\nfive\n"


def test_making_a_proposal_writes_nothing(root):
    """The tree is what it was."""
    proposal = from_diff(a_hunk(" two\n-three\n+3\n four\n"), root, origin="patch x.diff")
    assert (root / "app" / "a.py").read_text(encoding="utf-8") == SOURCE
    assert proposal.paths == ("app/a.py",)
    assert [edit.line for edit in proposal.edits] == [2]


def test_moved_hunk_finds_its_only_place(root):
    """Lines above may have come or gone."""
    text = a_hunk(" two\n-three\n+3\n four\n", head="@@ -40,3 +40,3 @@")
    assert applied(root, text) == "one\ntwo\n3\nfour\nfive\n"


def test_hunk_that_only_adds(root):
    """Without context the hunk names the line before."""
    assert applied(root, a_hunk("+x\n", head="@@ -2,0 +3 @@")) == "one\ntwo\nx\nthree\nfour\nfive\n"


def test_missing_last_newline_is_kept(root):
    """A file may end without a line feed, before or after."""
    text = a_hunk(" four\n-five\n+FIVE\n\\ No newline at end of file\n", head="@@ -4,2 +4,2 @@")
    assert applied(root, text).endswith("four\nFIVE")
    back = a_hunk(" four\n-FIVE\n\\ No newline at end of file\n+five\n", head="@@ -4,2 +4,2 @@")
    assert applied(root, back) == SOURCE


def test_windows_lines_are_kept(root):
    """Carriage returns belong to the text."""
    (root / "app" / "a.py").write_bytes(b"one\r\ntwo\r\n")
    text = a_hunk(" one\r\n-two\r\n+2\r\n", head="@@ -1,2 +1,2 @@")
    apply(from_diff(text, root, origin="patch"), root)
    assert (root / "app" / "a.py").read_bytes() == b"one\r\n2\r\n"


def test_file_is_made_and_deleted(root):
    """/dev/null stands for what is not there."""
    made = a_hunk("+new\n", head="@@ -0,0 +1 @@", names=("/dev/null", "b/app/b.py"))
    apply(from_diff(made, root, origin="patch"), root)
    assert (root / "app" / "b.py").read_text(encoding="utf-8") == "new\n"
    gone = a_hunk("-new\n", head="@@ -1 +0,0 @@", names=("a/app/b.py", "/dev/null"))
    apply(from_diff(gone, root, origin="patch"), root)
    assert not (root / "app" / "b.py").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no unified diff"),
        ("hello\n", "is no unified diff"),
        ("--- a/app/a.py\n+++ b/app/a.py\n", "changes nothing"),
        (a_hunk(" two\n-drei\n+3\n four\n"), "does not fit: line 3 is 'three'"),
        (a_hunk(" two\n-three\n"), "is cut off"),
        (a_hunk(" two\n-three\n+3\n four\n", names=("a/no.py", "b/no.py")), "cannot be read"),
        (a_hunk("-x\n+y\n", names=("a/../x.py", "b/../x.py"), head="@@ -1 +1 @@"), "outside"),
        (a_hunk("-x\n+y\n", names=("/etc/x", "/etc/x"), head="@@ -1 +1 @@"), "outside"),
        ("rename from a\nrename to b\n", "renames files"),
        ("Binary files a/x and b/x differ\n", "binary file"),
        ("@@ -1 +1 @@\n-x\n+y\n", "a hunk without a file"),
        (a_hunk("+new\n", head="@@ -0,0 +1 @@", names=("/dev/null", "b/app/a.py")), "is there"),
    ],
)
def test_bad_patch_is_refused_with_reason(root, text, reason):
    """Each says what is wrong with it, and nothing is written."""
    with pytest.raises(PatchError, match=reason):
        from_diff(text, root, origin="patch")
    assert (root / "app" / "a.py").read_text(encoding="utf-8") == SOURCE


def test_link_out_of_the_project_is_refused(root, tmp_path_factory):
    """A link does not lead the patch to somebody else's file."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "a.py"
    elsewhere.write_text(SOURCE, encoding="utf-8")
    (root / "app" / "link.py").symlink_to(elsewhere)
    names = ("a/app/link.py", "b/app/link.py")
    with pytest.raises(PatchError, match="link that leaves"):
        from_diff(a_hunk(" two\n-three\n+3\n four\n", names=names), root, origin="patch")


def test_stale_proposal_is_not_applied(root):
    """Where the source has moved, the change is made again, not guessed."""
    proposal = from_diff(a_hunk(" two\n-three\n+3\n four\n"), root, origin="patch")
    (root / "app" / "a.py").write_text(SOURCE + "six\n", encoding="utf-8")
    with pytest.raises(PatchError, match="stale"):
        apply(proposal, root)
