"""The command ``queryscope verify``: is a patch proved to change no answer and to cost less?"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from queryscope.cli.asked import add_requests, requests_of
from queryscope.cli.contract import contracts_of
from queryscope.cli.counts import count_from_one
from queryscope.cli.recorded import write_text
from queryscope.errors import QueryscopeError
from queryscope.verify import changes, patch, project, recorded, report
from queryscope.verify.asked import VARIANTS
from queryscope.verify.bench import Bench
from queryscope.verify.changes import Change
from queryscope.verify.judge import Judge
from queryscope.verify.kept import FOLDER as BASELINES
from queryscope.verify.kept import Kept
from queryscope.verify.ledger import FILE, Attempt, Ledger
from queryscope.verify.workspace import RunFolder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from queryscope.verify.contract import Request

CODES = {"proved": 0, "refused": 1, "inconclusive": 3}
FORMATS = ("terminal", "html", "markdown", "json")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``verify``."""
    change = parser.add_mutually_exclusive_group()
    change.add_argument(
        "--patch",
        metavar="FILE",
        help="the change, a unified diff such as `git diff` writes; - is the standard input "
        "(default: what the working tree changes of HEAD)",
    )
    change.add_argument(
        "--branch",
        metavar="NAME",
        help="the change, what a branch or a commit changed since it left HEAD",
    )
    add_requests(parser)
    parser.add_argument(
        "--variants",
        metavar="N",
        type=count_from_one,
        default=VARIANTS,
        help=f"edge-value variants of each endpoint at most (default: {VARIANTS})",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="judge anew what the ledger has a verdict on, and ask the original again",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="terminal", help="the form (default: terminal)"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="where to write it; - is the standard output (default)"
    )


def run(options: argparse.Namespace) -> int:
    """Judge a patch: 0 proved, 1 refused, 3 inconclusive."""
    found = project.load(Path(options.project))
    change = _change(found.root, options)
    ledger = Ledger(Path(options.store).parent / FILE)
    with RunFolder() as folder:
        kept = Kept(Path(options.store).parent / BASELINES, again=options.again)
        bench = Bench(found, folder, change.base, kept)
        # What the working tree changes is a change of the source before it, which is a copy.
        source = bench.original if change.base else found.root
        proposal = patch.from_diff(change.diff, source, origin=change.origin)
        for note in change.notes:
            _say(note)
        requests = requests_of(bench, options)
        if not requests:
            contracts = recorded.read(contracts_of(found))
            requests = {one.endpoint: list(one.requests) for one in contracts}
        attempt = Attempt(
            proposal.key,
            bench.tree_sha256,
            recorded.data_of(bench).sha256,
            _digest(requests, found, options.variants),
        )
        verdict = None if options.again else ledger.verdict(attempt)
        if verdict is not None:
            _say("judged before, and nothing has changed since: from the ledger")
        else:
            ledger.begin(attempt, proposal)
            verdict = Judge(bench, requests, _say, options.variants).judge(proposal)
            ledger.end(attempt, verdict)
    write_text(report.render(options.format, verdict, proposal), options.output)
    if verdict.constraint is not None:
        times = ledger.constraints().get(verdict.constraint, 0)
        if times > 1:
            _say(f"This was taught {times} times by now: another attempt will hardly do better.")
    return CODES[verdict.outcome]


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _change(root: Path, options: argparse.Namespace) -> Change:
    if options.branch:
        return changes.of_branch(root, options.branch)
    if options.patch:
        return Change(diff=_diff(options.patch), origin=f"patch {Path(options.patch).name}")
    return changes.of_working_tree(root)


def _diff(name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise QueryscopeError(f"The patch {name} cannot be read: {error.strerror}.") from error
    return data.decode("utf-8", "surrogateescape")


def _digest(
    requests: Mapping[str, Sequence[Request]], found: project.Project, variants: int
) -> str:
    """Return a digest of all that decides what is asked, and how."""
    keys = [(endpoint, [one.key for one in ones]) for endpoint, ones in sorted(requests.items())]
    told = sorted(found.environment.items()), sorted(found.allow)
    settings = (variants, found.app, found.host, *told)
    return hashlib.sha256(repr((keys, settings)).encode()).hexdigest()
