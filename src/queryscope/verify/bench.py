"""The bench of one verification: copies of the tree, clones of the data, replays of both sides."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from queryscope.errors import QueryscopeError
from queryscope.verify import patch, workspace
from queryscope.verify.baseline import Baselines
from queryscope.verify.booting import boot_error
from queryscope.verify.clones import source_of
from queryscope.verify.job import Job
from queryscope.verify.kept import Kept
from queryscope.verify.launch import (
    Replay,
    ended_with_all,
    environment,
    first_error_of,
    together,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from queryscope.verify.job import Reply
    from queryscope.verify.launch import Run
    from queryscope.verify.parts import Clone, Literal, Source
    from queryscope.verify.plan import Plan
    from queryscope.verify.project import Project
    from queryscope.verify.proposal import Proposal
    from queryscope.verify.workspace import RunFolder

CLONE_DEADLINE_S = 60.0
SEED_LIMIT_S = 300.0
GRACE_S = 5.0
SEEDS = {"a": 0, "b": 7}
"""Of hashes, in the two runs of each side: sets have another order in the second."""


class BenchError(QueryscopeError):
    """The data cannot be made or cloned."""


class Pair(NamedTuple):
    """Both runs of one side: as usual, and with other hashes and unordered selects reversed."""

    a: Run
    b: Run


class Bench:
    """Everything that proofs of one project share.

    Args:
        project: The user's project.
        folder: The run's own.
        base: Files of the source that stand otherwise in the tree, see ``changes.Change``.
        kept: Where the original's answers are kept for the next run.

    Attributes:
        baselines: What is kept of the original.
    """

    def __init__(
        self,
        project: Project,
        folder: RunFolder,
        base: Mapping[str, bytes | None] | None = None,
        kept: Kept | None = None,
    ) -> None:
        """Copy the tree; the data is cloned when it is first needed."""
        self.project = project
        self.folder = folder
        self._base = base or {}
        without = [project.database_file] if project.database_file is not None else []
        self._files = workspace.files_of(project.root, extra=project.copy, without=without)
        self._numbers = itertools.count(1)
        self.tree_sha256 = workspace.tree_digest(project.root, self._files, self._base)
        self.baselines = Baselines(kept or Kept(None), project, self.tree_sha256)
        self.original = self._copied("original")
        self._source: Source | None = None
        self._pristine: Clone | None = None

    # -- the tree -----------------------------------------------------------------------------

    def patched(self, proposal: Proposal) -> Path:
        """Return a fresh copy of the tree with a Proposal applied."""
        tree = self._copied(f"patched-{proposal.key}-{next(self._numbers)}")
        patch.apply(proposal, tree)
        return tree

    def _copied(self, name: str) -> Path:
        tree = self.folder.path / name
        workspace.copy_tree(self.project.root, self._files, tree)
        workspace.put_back(self._base, tree)
        return tree

    # -- the data -----------------------------------------------------------------------------

    @property
    def pristine(self) -> Clone:
        """The one copy of the data that all clones come from."""
        if self._pristine is None:
            url = self._seeded() if self.project.seed else self.project.database
            file = None if self.project.seed else self.project.database_file
            if file is not None:
                if not file.is_file():
                    raise BenchError(
                        f"The database {file} is not there: make it, or name a seed command."
                    )
                url = f"sqlite:///{file}"
            self._source = source_of(
                url, self.folder.path, self.folder.name, self.project.constant_tables
            )
            self._pristine = self._source.pristine(CLONE_DEADLINE_S)
        return self._pristine

    @property
    def source(self) -> Source:
        """Who clones the data."""
        assert self.pristine is not None  # noqa: S101 - made here
        assert self._source is not None  # noqa: S101 - for the type checker
        return self._source

    def clones(self, literals: Sequence[Literal]) -> list[Clone]:
        """Return the telling clones, ``as is`` first."""
        return list(self.source.telling(self.pristine, literals))

    def _seeded(self) -> str:
        """Run the seed command on an empty SQLite file and return its URL."""
        file = self.folder.path / "seeded.sqlite3"
        url = f"sqlite:///{file}"
        log = self.folder.path / "seed.log"
        variables = environment(self.folder.path, self._variables(url), hash_seed=0)
        tree = self._copied("seeding")
        with log.open("wb") as output, ended_with_all(self.folder.path) as children:
            try:
                process = subprocess.Popen(  # noqa: S603 - the project's own command
                    self._command(self.project.seed),
                    cwd=tree,
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise BenchError(
                    f"The seed command {self.project.seed[0]!r} cannot be started: "
                    f"{error.strerror}."
                ) from error
            children.append(process)
            try:
                code = process.wait(SEED_LIMIT_S)
            except subprocess.TimeoutExpired as error:
                raise BenchError(
                    f"The seed command did not end within {SEED_LIMIT_S:.0f} s."
                ) from error
        if code != 0 or not file.is_file():
            said = first_error_of(log.read_text("utf-8", errors="replace"))
            raise BenchError(
                f"The seed command {' '.join(self.project.seed)!r} ended with {code} and made "
                f"{'no' if not file.is_file() else 'a'} database: {said or 'it says nothing'}."
            )
        shutil.rmtree(tree, ignore_errors=True)
        return url

    def _command(self, words: Sequence[str]) -> list[str]:
        """Return a command with this interpreter where it says ``python``."""
        return [sys.executable if words[0] in ("python", "python3") else words[0], *words[1:]]

    def _variables(self, url: str) -> dict[str, str]:
        variables = dict(self.project.environment)
        if self.project.database_variable:
            variables[self.project.database_variable] = url
        return variables

    # -- replays ------------------------------------------------------------------------------

    def both(
        self,
        tree: Path,
        plan: Plan,
        *,
        name: str,
        step_limit_s: float | None = None,
        enough: Callable[[int, Reply], bool] | None = None,
    ) -> Pair:
        """Replay a plan twice on a tree, side by side, differing on purpose.

        Args:
            tree: Of the first; the second has a copy of its own.
            plan: What is asked.
            name: Of the replays.
            step_limit_s: Longest time of one answer; None to measure it.
            enough: Told 0 or 1 and each reply of that replay; true to end it.
        """
        trees = {f"{name}-a": tree, f"{name}-b": self._twin(tree)}
        return Pair(*self._replayed(trees, plan, step_limit_s, enough))

    def beside(self, tree: Path, plan: Plan, *, name: str, step_limit_s: float) -> tuple[Run, Run]:
        """Replay a plan on the original and on a tree, side by side, and return both runs."""
        trees = {f"original-{name}-a": self.original, f"patched-{name}-a": tree}
        before, after = self._replayed(trees, plan, step_limit_s)
        return before, after

    def _twin(self, tree: Path) -> Path:
        twin = tree.with_name(f"{tree.name}-b")
        if not twin.exists():
            found = (path for path in tree.rglob("*") if path.is_symlink() or not path.is_dir())
            workspace.copy_tree(tree, [path.relative_to(tree) for path in found], twin)
        return twin

    def boot_error(self, tree: Path) -> str:
        """Return why a tree does not boot by the command of production; ``""`` where it does."""
        project = self.project
        work = self.source.copy(self.pristine, "work of the boot check")
        try:
            work = self._in_place(work, tree)
            return boot_error(
                self._command(project.boot),
                tree,
                self._variables(work.url),
                folder=self.folder.path,
                health=project.health,
                host=project.host,
            )
        finally:
            self.source.drop(work)

    def run(self, tree: Path, plan: Plan, *, name: str, step_limit_s: float | None = None) -> Run:
        """Replay a plan on a tree, in a cold process; ``name`` ends with a key of ``SEEDS``."""
        (run,) = self._replayed({name: tree}, plan, step_limit_s)
        return run

    def _replayed(
        self,
        trees: Mapping[str, Path],
        plan: Plan,
        step_limit_s: float | None,
        enough: Callable[[int, Reply], bool] | None = None,
    ) -> list[Run]:
        """Replay a plan on trees at a time, by the names of the replays."""
        works: list[Clone] = []
        try:
            replays = []
            for name, tree in trees.items():
                works.append(self.source.copy(plan.clones[0], f"work of {name}"))
                works[-1] = self._in_place(works[-1], tree)
                replays.append(self._replay(name, tree, plan, works[-1], step_limit_s))
            return together(replays, self.folder.path, enough)
        finally:
            for work in works:
                self.source.drop(work)

    def _replay(
        self, name: str, tree: Path, plan: Plan, work: Clone, step_limit_s: float | None
    ) -> Replay:
        limit_s = self.project.time_limit_s
        which = name.rpartition("-")[2]
        job = Job(
            tree=str(tree),
            original=str(self.project.root),
            folder=str(self.folder.path),
            app=self.project.app,
            host=self.project.host,
            actors=self.project.actors,
            work=work,
            clones=plan.clones,
            requests=plan.requests,
            steps=plan.steps,
            reversed_selects=which == "b",
            memory_limit_mib=self.project.memory_limit_mib,
            cpu_limit_s=int(limit_s) + 1,
            step_limit_s=step_limit_s,
            results=str(self.folder.path / f"{name}.results"),
        )
        return Replay(
            job,
            self._variables(work.url),
            name=name,
            hash_seed=SEEDS[which],
            time_limit_s=limit_s,
            # The child ends an answer itself; what it cannot end is ended with it.
            step_limit_s=step_limit_s + GRACE_S if step_limit_s else limit_s,
        )

    def _in_place(self, work: Clone, tree: Path) -> Clone:
        """Move the working copy to where an application looks that is not told of it."""
        file = self.project.database_file
        if self.project.database_variable or file is None:
            return work
        if not file.is_relative_to(self.project.root):
            raise BenchError(
                f"The database {file} lies outside the project: set database-variable, so that "
                "the application can be told of the copy."
            )
        place = tree / file.relative_to(self.project.root)
        place.parent.mkdir(parents=True, exist_ok=True)
        Path(work.url.removeprefix("sqlite:///")).replace(place)
        return work._replace(url=f"sqlite:///{place}")
