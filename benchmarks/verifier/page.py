"""The page of what the judge got right."""

from __future__ import annotations

import statistics
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.verifier.run import Result

HEAD = """\
# The judge

Written by `make bench-verifier`; do not edit.

"""


def page(results: Sequence[Result]) -> str:
    """Return the page of all results, as Markdown."""
    wrong = [one for one in results if one.kind]
    right = [one for one in results if not one.kind]
    caught = [one for one in wrong if one.good]
    shown = [one for one in wrong if one.outcome == "refused" and one.counterexample]
    missed = [one for one in wrong if not one.good]
    refused = [one for one in right if not one.good]
    took = sorted(one.seconds for one in results)
    lines = [
        HEAD,
        _about(wrong, right),
        "| what | asked | measured |",
        "| --- | --- | --- |",
        f"| wrong rewrites not proved | >= 99.5 % | {_share(caught, wrong)} |",
        f"| of these refused with a request and both answers | | {_share(shown, caught)} |",
        f"| right rewrites not proved | <= 2 % | {_share(refused, right)} |",
    ]
    if took:
        lines.append(
            f"| seconds until a verdict, median and 95 % | | {statistics.median(took):.1f} and "
            f"{took[int(len(took) * 0.95)]:.1f} |"
        )
    lines += [
        "",
        "## By class",
        "",
        "| class | rewrites | refused | inconclusive | proved |",
        "| --- | --- | --- | --- | --- |",
    ]
    by_kind: dict[str, list[Result]] = defaultdict(list)
    for one in wrong:
        by_kind[one.kind].append(one)
    for kind, ones in sorted(by_kind.items()):
        counts = [sum(one.outcome == what for one in ones) for what in ("refused", "inconclusive")]
        rest = len(ones) - sum(counts)
        lines.append(f"| {kind} | {len(ones)} | {counts[0]} | {counts[1]} | {rest} |")
    lines += _listed("Proved, and wrong", missed)
    lines += _listed("Right, and not proved", refused)
    return "\n".join(lines) + "\n"


def _about(wrong: Sequence[Result], right: Sequence[Result]) -> str:
    projects = sorted({one.project for one in (*wrong, *right)})
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {len(wrong):,} wrong rewrites and "
        f"{len(right):,} right ones of six views of a shop, in {len(projects)} projects "
        f"({', '.join(projects)}). A wrong rewrite is a right one with one change, from "
        "`benchmarks/verifier/changes_*.py`, judged in one project of its ORM; a right one is "
        "judged in each. `queryscope verify` is asked as a user asks it, with the recorded "
        "requests of the view.\n"
    )


def _share(some: Sequence[Result], of: Sequence[Result]) -> str:
    share = f" ({len(some) / len(of):.1%})" if of else ""
    return f"{len(some):,} of {len(of):,}{share}"


def _listed(title: str, ones: Sequence[Result]) -> list[str]:
    if not ones:
        return ["", f"## {title}", "", "None."]
    rows = [
        f"| {one.project} | `{one.name}` | {one.kind or 'right'} | {one.outcome} | "
        f"{one.reason.replace('|', '/')[:200]} |"
        for one in ones
    ]
    head = ["", f"## {title}", "", "| project | rewrite | class | verdict | reason |"]
    return [*head, "| --- | --- | --- | --- | --- |", *rows]
