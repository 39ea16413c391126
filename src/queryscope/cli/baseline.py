"""The command ``queryscope baseline``: write, check or prune the file of known findings."""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from queryscope.cli.recorded import add_choice, chosen
from queryscope.detectors.finding import SEVERITIES
from queryscope.errors import NotFoundError
from queryscope.policy.decisions import load
from queryscope.policy.stale import modules_of, unmatched
from queryscope.report.collected import collect
from queryscope.report.text import counted, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from queryscope.detectors.registry import Judged
    from queryscope.policy.baseline import Baseline, Entry
    from queryscope.policy.decisions import Policy

ACTIONS = ("write", "check", "prune")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``baseline``."""
    parser.add_argument(
        "action",
        choices=ACTIONS,
        help="write: add the findings that are open; check: 1 if an entry has expired or matches "
        "nothing any more; prune: take out those that match nothing",
    )
    add_choice(parser)
    parser.add_argument(
        "--level",
        choices=SEVERITIES,
        help="write: the mildest severity that is added (default: what fails a check)",
    )
    parser.add_argument("--owner", default="", metavar="NAME", help="write: who answers for them")
    parser.add_argument("--reason", default="", metavar="TEXT", help="write: why they may stay")
    parser.add_argument(
        "--expires", type=_day, metavar="DATE", help="write: their last day, such as 2027-01-31"
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="prune: also entries of modules that no recorded Trace came through",
    )


def run(options: argparse.Namespace) -> int:
    """Do what was asked for, and say what came of it."""
    policy = load(Path.cwd())
    if options.action == "write":
        return _write(policy, options)
    try:
        over, untried = _unmatched(policy.baseline, chosen(options))
    except NotFoundError:
        if options.action == "prune":
            raise
        over, untried = [], list(policy.baseline.entries.values())
    if options.action == "prune":
        return _prune(policy, over, untried, everything=options.all)
    return _check(policy, over, untried)


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day such as 2027-01-31") from None


def _unmatched(baseline: Baseline, traces: Iterable[Judged]) -> tuple[list[Entry], list[Entry]]:
    fingerprints: set[str] = set()
    modules: set[str] = set()
    for judged in traces:
        fingerprints.update(finding.fingerprint for finding in judged.findings)
        modules |= modules_of(judged.trace)
    return unmatched(baseline, fingerprints, modules)


def _write(policy: Policy, options: argparse.Namespace) -> int:
    collection = collect(chosen(options), policy, level=options.level)
    before = policy.baseline
    after = before.with_findings(
        (item.finding for item in collection.failed),
        owner=options.owner,
        reason=options.reason,
        expires=options.expires,
    )
    after.write()
    added = len(after.entries) - len(before.entries)
    kept = f"{len(before.entries):,} kept" if before.entries else ""
    numbers = ", ".join(filter(None, (f"{counted(added, 'finding')} added", kept)))
    print(f"{after.path.name}: {numbers}; {counted(collection.traces, 'Trace')}.")
    for item in collection.failed:
        if item.expired:
            entry = before.entries[item.finding.fingerprint]
            print(f"{_named(entry)} expired on {item.expired}: mend it, or give it a new day.")
    return 0


def _check(policy: Policy, over: list[Entry], untried: list[Entry]) -> int:
    expired = [entry for entry in policy.baseline.entries.values() if policy.is_over(entry)]
    print("".join(_lines(expired, "has expired: mend it, or give it a new day")), end="")
    print("".join(_lines(over, "matches nothing any more: prune it")), end="")
    parts = [counted(len(policy.baseline.entries), "known finding", "known findings")]
    parts += [f"{len(expired):,} expired"] if expired else []
    parts += [f"{len(over):,} to be pruned"] if over else []
    parts += [f"{len(untried):,} not tried"] if untried else []
    print(f"{policy.baseline.path.name}: {', '.join(parts)}.")
    return int(bool(expired or over))


def _prune(policy: Policy, over: list[Entry], untried: list[Entry], *, everything: bool) -> int:
    gone = [*over, *untried] if everything else over
    after = policy.baseline.without(gone)
    if gone:
        after.write()
    print("".join(_lines(gone, "taken out")), end="")
    left = counted(len(after.entries), "known finding")
    kept = "" if everything or not untried else f", {len(untried):,} of them not tried"
    print(f"{after.path.name}: {len(gone):,} taken out, {left} left{kept}.")
    return 0


def _lines(entries: list[Entry], what: str) -> Iterator[str]:
    for entry in entries:
        yield f"{_named(entry)}: {what}\n"


def _named(entry: Entry) -> str:
    parts = (entry.fingerprint, entry.code, entry.where, entry.owner and f"({entry.owner})")
    return visible(" ".join(filter(None, parts)), limit=400)
