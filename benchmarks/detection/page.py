"""The page that says how often the detectors are right: docs/reference/detection.md."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from benchmarks.detection import losses, peers
from benchmarks.detection.verdicts import Count, counted
from queryscope.detectors.registry import all_detectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from benchmarks.detection.verdicts import Verdict

HEAD = (
    "code", "name", "dirty", "repaired", "innocent", "found", "missed", "false alarms", "recall",
    "precision", "right line",
)  # fmt: skip
WIDTHS = (6, 24, 5, 8, 8, 6, 6, 12, 7, 9, 10)
COUNTS = (
    "Counts of scenarios, then of verdicts: one scenario with one size on one database is one "
    "verdict. An alarm counts for the code that was said."
)
PEERS = (
    f"The same scenarios on SQLite with {peers.SIZE} rows, each tool of the "
    "registry in an environment of its own, set up as its documentation says and with its "
    "defaults. Only scenarios of the codes that it claims to see are counted: statements that "
    "repeat, and relations loaded for nothing. Of what it says about such a dirty scenario, "
    "anything that names the relation, or the table of the dirty statements, counts as found; on a "
    "clean one anything is a false alarm. What it says of other matters (indexes, wide rows) "
    "counts neither way. The last two columns are queryscope's on the same scenarios; of its own, "
    "alarms on dirty scenarios count as well. The scenarios are queryscope's, and its detectors "
    "were mended where they lost one: the other tools had not seen them before.\n\n"
)
PEERS_HEAD = (
    "tool", "version", "ORM", "codes", "found", "missed", "false alarms", "of clean", "recall",
    "precision", "remark", "queryscope's recall", "precision",
)  # fmt: skip
GROUPS_HEAD = ("group", "found", "missed", "false alarms", "recall", "precision", "right line")
NONE_YET = "no detector yet"
TARGETS = (
    # (what, the least, of which property)
    ("recall", 0.97, "recall"),
    ("precision", 0.99, "precision"),
    ("right line to mend", 0.97, "lines"),
)


def has_detector(code: str) -> bool:
    """Tell whether a code has a detector today."""
    return code in all_detectors()


def rows(codes: Mapping[str, Count]) -> Iterator[tuple[str, ...]]:
    """Yield a table row for each code."""
    for code, count in codes.items():
        yield row(code, count)


def row(code: str, count: Count) -> tuple[str, ...]:
    """Return the table row of one code."""
    known = code == "all" or has_detector(code)
    detector = all_detectors().get(code)
    kinds = (str(count.scenarios[kind]) for kind in ("dirty", "repaired", "innocent"))
    return (
        code,
        "" if code == "all" else (detector.NAME if detector is not None else NONE_YET),
        *kinds,
        str(count.found),
        str(count.missed) if known else "-",
        str(count.alarms),
        _share(count.recall) if known else "-",
        _share(count.precision),
        _share(count.lines),
    )


def page(found: Sequence[Verdict], missing: Sequence[str], others: Sequence[Any]) -> str:
    """Return the page.

    Args:
        found: Our verdicts.
        missing: Databases that did not answer, with why.
        others: What the peers did, as ``peers.all_results`` gives it.
    """
    served = [item for item in found if has_detector(item.scenario.code)]
    total, codes = counted(found)
    parts = [
        "# Detection",
        "Written by `make bench-detection`; do not edit.",
        _introduction(found, missing),
        "## Targets",
        _targets(served, found),
        "## By code",
        COUNTS,
        _table(HEAD, [*rows(codes), row("all", total)]),
        "## By group of scenarios",
        _groups(served),
        "## Lost",
        _lost(served),
        "## Other tools",
        _others(others, found),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _introduction(found: Sequence[Verdict], missing: Sequence[str]) -> str:
    scenarios = {item.scenario.key: item.scenario for item in found}
    dirty = sum(item.kind == "dirty" for item in scenarios.values())
    repaired = sum(item.kind == "repaired" for item in scenarios.values())
    sizes = ", ".join(str(size) for size in sorted({item.size for item in found}))
    databases = ", ".join(sorted({item.database for item in found}))
    left_out = f" Left out: {'; '.join(missing)}." if missing else ""
    day = datetime.now(UTC).date().isoformat()
    return (
        f"{len(scenarios)} scenarios, written from the catalogue: {dirty} that have what a code "
        f"speaks of, {repaired} repaired twins of them, which give the same answer, and "
        f"{len(scenarios) - dirty - repaired} innocent ones that only look alike. Each ran on "
        f"{day} with {sizes} rows on {databases}, in the mode of tests and in full recording: "
        f"{len(found):,} verdicts.{left_out} Thresholds of time are raised so that a busy machine "
        "decides nothing.\n\n"
        "A scenario is *found* when a finding of its code names its relation. Any other finding of "
        "level warning or higher that is not true of it is a *false alarm*, and on a clean "
        "scenario one of the code itself at any level. The *right line* is one that its repaired "
        "twin changes, marked in the source. What a plan has to show is judged without one. "
        "Verdicts were written from the catalogue; what else is true of a scenario, and is not "
        "held against anybody, was settled by looking at what was said of it: precision is in part "
        "a measure of that judgement, which stands in the source as `also`. "
        "The scenarios are in `benchmarks/detection/scenarios`."
    )


def _targets(served: Sequence[Verdict], found: Sequence[Verdict]) -> str:
    ours, _ = counted(served)
    everything, _ = counted(found)
    cells = []
    for what, least, name in TARGETS:
        value = getattr(ours, name)
        met = "-" if value is None else "yes" if value >= least else "no"
        cells.append((what, f">= {least}", _share(value), met, _share(getattr(everything, name))))
    clean = [item for item in found if item.scenario.kind != "dirty" and not item.error]
    silent = sum(not item.alarms for item in clean)
    cells.append(
        (
            "clean verdicts without an alarm", "all", f"{silent} of {len(clean)}",
            "yes" if silent == len(clean) else "no", "",
        )
    )  # fmt: skip
    return _table(
        ("what", "aim", "codes that have a detector", "met", "all codes of the catalogue"), cells
    )


def _groups(found: Sequence[Verdict]) -> str:
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for item in found:
        groups[item.scenario.group].append(item)
        groups[f"on {item.database}"].append(item)
        groups[f"with {item.size} rows"].append(item)
    cells = []
    for name, items in sorted(groups.items()):
        total, _ = counted(items)
        cells.append(
            (
                name, str(total.found), str(total.missed), str(total.alarms), _share(total.recall),
                _share(total.precision), _share(total.lines),
            )
        )  # fmt: skip
    return _table(GROUPS_HEAD, cells)


def _lost(found: Sequence[Verdict]) -> str:
    reasons = {(item.scenario, item.what): item.reason for item in losses.known()}
    places: dict[tuple[str, str, str, str], dict[str, list[int]]] = {}
    for item in found:
        for what in item.losses:
            key = (item.scenario.key, item.scenario.kind, item.scenario.code, what)
            places.setdefault(key, defaultdict(list))[item.database].append(item.size)
    if not places:
        return "None."
    cells = []
    for (key, kind, code, what), where in sorted(places.items()):
        text = "; ".join(f"{base} {', '.join(map(str, sizes))}" for base, sizes in where.items())
        cells.append((f"`{key}`", kind, code, what, text, reasons.get((key, what), "")))
    return _table(("scenario", "kind", "code", "what", "on, with rows", "why"), cells)


def _others(others: Sequence[Any], found: Sequence[Verdict]) -> str:
    if not others:
        return "They have not been run."
    cells = []
    for item in others:
        head = (item["name"], item["version"], item["orm"], _short(item["codes"]))
        ours, _ = counted(_same(found, item))
        beside = (_share(ours.recall), _share(ours.precision))
        if item.get("reason"):
            cells.append((*head, *["-"] * 6, item["reason"], *beside))
            continue
        counts = (str(item[name]) for name in ("found", "missed", "alarms", "clean"))
        shares = (_share(item["recall"]), _share(item["precision"]))
        cells.append((*head, *counts, *shares, item["note"], *beside))
    return PEERS + _table(PEERS_HEAD, cells)


def _same(found: Sequence[Verdict], item: Mapping[str, Any]) -> list[Verdict]:
    """Return our verdicts on the scenarios that a peer was tried on."""
    return [
        one
        for one in found
        if (one.database, one.size) == (peers.DATABASE, peers.SIZE)
        and (one.scenario.orm, one.scenario.code in item["codes"]) == (item["orm"], True)
    ]


def _short(codes: Sequence[str]) -> str:
    return ", ".join(code.removeprefix("QS") for code in codes)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _table(head: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
