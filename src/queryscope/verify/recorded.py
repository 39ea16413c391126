"""Contracts made and checked: requests replayed twice on the project's data as it is."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from queryscope.errors import QueryscopeError
from queryscope.verify import compare
from queryscope.verify.contract import Contract, Data, Exchange, from_json, to_json
from queryscope.verify.plan import plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from queryscope.verify.bench import Bench, Pair
    from queryscope.verify.contract import Answer, Difference, Request
    from queryscope.verify.plan import Plan

_UNNAMEABLE = re.compile(r"[^a-z0-9]+")
GLOB = "*.json"


class RecordingError(QueryscopeError):
    """The application cannot answer what is to be recorded."""


class OtherDataError(RecordingError):
    """A Contract was recorded on other data than there is now."""


class Broken(NamedTuple):
    """An answer that is not the one of the contract."""

    endpoint: str
    request: Request
    differences: tuple[Difference, ...]


def record(
    bench: Bench,
    recorded: Mapping[str, Sequence[Request]],
    *,
    left_out: Callable[[str], None] | None = None,
) -> list[Contract]:
    """Return a Contract for each endpoint, with what the present code answers.

    Args:
        bench: The project.
        recorded: Endpoints to requests.
        left_out: Told of each endpoint that answers nothing but errors and redirects, which is
            then left out; None where each has to answer.

    Raises:
        RecordingError: The application does not boot or does not answer, or answers nothing but
            errors and redirects.
    """
    found, pair = _replayed(bench, recorded)
    data = data_of(bench)
    exchanges: dict[str, list[Exchange]] = {endpoint: [] for endpoint in recorded}
    unstable: dict[str, set[str]] = {endpoint: set() for endpoint in recorded}
    for step in found.questions:
        _, request, endpoint = found.place(step)
        if step not in found.measured:
            continue
        answer = pair.a.replies[step].answer
        exchanges[endpoint].append(Exchange(request, answer))
        unstable[endpoint] |= compare.unstable_paths(answer, pair.b.replies[step].answer)
    for endpoint, ones in list(exchanges.items()):
        if any(200 <= one.answer.status < 300 for one in ones):  # noqa: PLR2004 - as HTTP says
            continue
        statuses = sorted({str(one.answer.status or one.answer.error) for one in ones})
        said = (
            f"{endpoint} answers nothing but errors or redirects ({', '.join(statuses)}): such "
            "a contract proves nothing. Is an actor missing, as in `GET /items/7 as caller`?"
        )
        if left_out is None:
            raise RecordingError(said)
        left_out(said)
        del exchanges[endpoint]
    if not exchanges:
        raise RecordingError("No endpoint answers anything but errors or redirects.")
    return [
        Contract(
            endpoint=endpoint,
            data=data,
            exchanges=tuple(ones),
            unstable=tuple(sorted(unstable[endpoint])),
        )
        for endpoint, ones in exchanges.items()
    ]


def check(bench: Bench, contracts: Iterable[Contract]) -> list[Broken]:
    """Return every answer of the present code that is not the one of its Contract.

    Raises:
        OtherDataError: A Contract is of other data.
        RecordingError: The application does not answer.
    """
    contracts = list(contracts)
    data = data_of(bench)
    for contract in contracts:
        if contract.data.sha256 != data.sha256:
            raise OtherDataError(
                f"The contract of {contract.endpoint} was recorded on other data than there is "
                f"now ({contract.data.name}): bring that back, or record it again."
            )
    asked: dict[str, list[Request]] = {}
    for contract in contracts:  # an endpoint may have several
        asked.setdefault(contract.endpoint, []).extend(contract.requests)
    found, pair = _replayed(bench, asked)
    answers = {}
    for step in found.measured:
        _, request, _ = found.place(step)
        answers[request.key] = pair.a.replies[step].answer, pair.b.replies[step].answer
    broken = []
    for contract in contracts:
        for request, expected in contract.exchanges:
            first, second = answers[request.key]
            unstable = {*contract.unstable, *compare.unstable_paths(first, second)}
            differences = compare.differences(expected, first, unstable=unstable)
            if differences:
                broken.append(Broken(contract.endpoint, request, differences))
    return broken


def answer_to(bench: Bench, request: Request) -> Answer:
    """Return what the present code answers to one request.

    Raises:
        RecordingError: It does not boot or does not answer.
    """
    found, pair = _replayed(bench, {str(request): [request]})
    return pair.a.replies[found.measured[0]].answer


def data_of(bench: Bench) -> Data:
    """Return name and digest of the data that answers are given on."""
    seed = " ".join(bench.project.seed)
    name = seed or bench.project.database.rpartition("@")[2].rpartition("/")[2]
    state = bench.source.state(bench.pristine)
    return Data(name, hashlib.sha256(repr(sorted(state.items())).encode()).hexdigest())


def _replayed(bench: Bench, recorded: Mapping[str, Sequence[Request]]) -> tuple[Plan, Pair]:
    found = plan(recorded, {}, bench.clones(())[:1])
    pair = bench.both(bench.original, found, name="recorded")
    for run in sorted(pair, key=lambda one: one.stopped):  # the one that broke ended the other
        if run.failure is not None:
            raise RecordingError(
                f"The application fails at {run.failure.stage}: {run.failure.error}"
            )
        if not run.complete:
            late = None if run.hung is None else found.place(run.hung)[1]
            raise RecordingError(
                f"The application did not answer {late} in time."
                if late is not None
                else f"The application ended while it was asked, with {run.ended}."
            )
    return found, pair


# -- files ------------------------------------------------------------------------------------


def file_name(endpoint: str) -> str:
    """Return the name of a contract's file: ``get-items-id.json``."""
    return f"{_UNNAMEABLE.sub('-', endpoint.lower()).strip('-') or 'endpoint'}.json"


def write(contract: Contract, folder: Path) -> Path:
    """Write a Contract into a folder and return its file.

    Raises:
        RecordingError: The file cannot be written.
    """
    file = folder / file_name(contract.endpoint)
    write_to(contract, file)
    return file


def write_to(contract: Contract, file: Path) -> None:
    """Write a Contract into a file; one that was there is replaced at once.

    Raises:
        RecordingError: The file cannot be written.
    """
    fresh = file.with_suffix(".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(to_json(contract), encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        raise RecordingError(f"The contract {file} cannot be written: {error.strerror}.") from error


def read(files: Iterable[Path]) -> list[Contract]:
    """Return the Contracts of files.

    Raises:
        RecordingError: A file cannot be read.
        ContractError: A file is no contract.
    """
    found = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RecordingError(f"The contract {file} cannot be read: {reason}.") from error
        found.append(from_json(text, source=str(file)))
    return found
