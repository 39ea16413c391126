"""Judges what was said about a scenario against what it declares, and counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.detection.runs import Worked
    from benchmarks.detection.scenario import Scenario


@dataclass(frozen=True)
class Verdict:
    """What came of one scenario with one size on one database.

    Attributes:
        scenario: The scenario.
        database: Where it ran.
        size: Rows.
        found: A dirty one was found; None of others.
        right_line: The finding names a line that is marked; None where none is judged.
        alarms: Codes that were said and are not true of it, each once; ``""`` of a peer.
        error: It did not run: the last line of the traceback, or how the twins differ.
    """

    scenario: Scenario
    database: str
    size: int
    found: bool | None
    right_line: bool | None
    alarms: tuple[str, ...]
    error: str = ""

    @property
    def losses(self) -> tuple[str, ...]:
        """What is wrong, in the words of ``losses.toml``; empty: all is right."""
        lost = [f"false alarm {code}".strip() for code in self.alarms]
        if self.found is False:
            lost.append("missed")
        if self.right_line is False:
            lost.append("line")
        if self.error:
            lost.append("error")
        return tuple(lost)


def verdicts(worked: Worked) -> list[Verdict]:
    """Judge all that a worker of ours wrote; twins that answer differently are an error."""
    different = different_twins(worked.scenarios, worked.lines)
    found = []
    for line in worked.lines:
        one = verdict(worked.scenarios[line["name"]], worked.database, line)
        other = different.get((line["name"], line["size"]))
        found.append(replace(one, error=other) if other and not one.error else one)
    return found


def verdict(scenario: Scenario, database: str, line: Mapping[str, Any]) -> Verdict:
    """Judge one line of a worker of ours.

    A dirty scenario is found by a finding of its code, or of one that says the same, that names
    the relation. Of the other findings those of level warning and higher are held against us
    where they are not true; on a clean scenario those of its own code are at any level.
    """
    wanted = {scenario.code, *scenario.accept} if scenario.kind == "dirty" else set()
    found, right = None, None
    if scenario.kind == "dirty":
        hits = [item for item in line["reports"] if item[0] in wanted and names(scenario, item[2])]
        found = bool(hits)
        if hits and scenario.mends:
            right = any(_stands(item[3], scenario.mends) for item in hits)
    alarms = {
        code
        for code, severity, _, _ in line["reports"]
        if code not in wanted
        and code not in scenario.also
        and (severity != "info" or (wanted == set() and code == scenario.code))
    }
    error = line["error"].strip().rpartition("\n")[2]
    return Verdict(scenario, database, line["size"], found, right, tuple(sorted(alarms)), error)


def names(scenario: Scenario, text: str) -> bool:
    """Tell whether a text names the relation of a scenario; without one, any does."""
    return scenario.relation.rpartition(".")[2].lower() in text.lower()


def peer_verdict(scenario: Scenario, database: str, line: Mapping[str, Any]) -> Verdict:
    """Judge one line of a peer, by what it said that may mean the scenario's code.

    Of a dirty scenario anything about the relation or the table is a finding; of a clean one
    anything is a false alarm that does not also mean what is true of it.
    """
    error = line["error"].strip().rpartition("\n")[2]
    said: dict[str, set[str]] = defaultdict(set)
    for code, _, text, _ in line["reports"]:
        said[text.lower()].add(code)
    if scenario.kind != "dirty":
        wrong = any(
            scenario.code in codes and not codes & {*scenario.also} for codes in said.values()
        )
        return Verdict(scenario, database, line["size"], None, None, ("",) if wrong else (), error)
    wanted = {scenario.code, *scenario.accept}
    words = [scenario.relation.rpartition(".")[2].lower(), scenario.table.lower()]
    words = [word for word in words if word]
    found = any(
        bool(codes & wanted) and (not words or any(word in text for word in words))
        for text, codes in said.items()
    )
    return Verdict(scenario, database, line["size"], found, None, (), error)


def different_twins(
    scenarios: Mapping[str, Scenario], lines: Iterable[Mapping[str, Any]]
) -> dict[tuple[str, int], str]:
    """Return the repaired scenarios that answer otherwise than the dirty one, with how."""
    answers = {(line["name"], line["size"]): line.get("answer") for line in lines}
    found = {}
    for (name, size), answer in answers.items():
        twin = scenarios[name].twin
        other = answers.get((twin, size))
        if twin and other is not None and answer is not None and answer != other:
            found[name, size] = f"answers {answer[:80]}, its twin {other[:80]}"
    return found


@dataclass
class Count:
    """Verdicts counted, of one code or of all."""

    found: int = 0
    missed: int = 0
    alarms: int = 0
    clean: int = 0
    silent: int = 0
    right_lines: int = 0
    wrong_lines: int = 0
    scenarios: Counter[str] = field(default_factory=Counter)

    @property
    def recall(self) -> float | None:
        """Share of the dirty ones that were found; None where there is none."""
        return _share(self.found, self.missed)

    @property
    def precision(self) -> float | None:
        """Share of what was said that is true; None where nothing was said."""
        return _share(self.found, self.alarms)

    @property
    def lines(self) -> float | None:
        """Share of the findings with a marked line that name it."""
        return _share(self.right_lines, self.wrong_lines)


def counted(verdicts: Iterable[Verdict]) -> tuple[Count, dict[str, Count]]:
    """Return the counts of all verdicts, and of each code.

    An alarm counts for the code that was said, all else for the scenario's own.
    """
    total, codes = Count(), defaultdict(Count)
    seen = set()
    for item in verdicts:
        if item.error:
            continue
        scenario = item.scenario
        for count in (total, codes[scenario.code]):
            count.found += item.found is True
            count.missed += item.found is False
            count.right_lines += item.right_line is True
            count.wrong_lines += item.right_line is False
            if item.found is None:
                count.clean += 1
                count.silent += not item.alarms
            if (id(count), scenario.key) not in seen:
                seen.add((id(count), scenario.key))
                count.scenarios[scenario.kind] += 1
        for code in item.alarms:
            total.alarms += 1
            codes[code or scenario.code].alarms += 1
    return total, dict(sorted(codes.items()))


def _share(good: int, bad: int) -> float | None:
    return good / (good + bad) if good + bad else None


def _stands(places: Iterable[Any], mends: frozenset[tuple[str, int]]) -> bool:
    return any((place[0], place[1]) in mends for place in places)
