"""Writes the generated pages of the reference, and the generated parts of other pages.

``make docs`` runs it; ``--check`` only says what is stale. Everything comes from the code itself:
the pages of the codes are the docstrings of their detectors, settings and thresholds are read with
their defaults, the command line from its parsers, the API from its signatures.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from queryscope import adapters, asgi, celery, errors, profiling, runtime, wsgi
from queryscope.cli import main as cli
from queryscope.detectors import finding, registry
from queryscope.policy import baseline, comments, decisions
from queryscope.pytest_plugin import plugin
from queryscope.report import document, schema
from queryscope.settings import Mode, Settings
from queryscope.trace import events

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
MODES = get_args(Mode)

NOTE = "<!-- Written by `make docs` from {source}; edit that. -->\n"
CODES = "codes"
COST = "cost"
CODES_FOLDER = "docs/reference/codes"
OVERHEAD = DOCS / "reference" / "overhead.md"
"""Written by the benchmark; linked to where it is there."""

SCHEMAS = {
    "report.schema.json": document.ReportDocument,
    "findings.schema.json": document.FindingsDocument,
}
"""JSON Schemas, each of the type of a document."""

UNITS = (
    # (how the name of a threshold ends, its unit)
    ("_ms", "milliseconds"),
    ("_percent", "percent"),
    ("_min_before", "engines"),
    ("_min_writes", "writes"),
    ("_min_overlaps", "statements"),
    ("_min_turns", "changes of thread"),
    ("_min_flushes", "flushes"),
    ("pool_processes", "processes"),
    ("server_max_connections", "connections"),
    ("_min_parents", "parent rows, or keys"),
    ("response_min_requests", "requests"),
    ("_requests", "concurrent requests"),
    ("_statements", "statements"),
    ("_count", "statements"),
    ("_traces", "requests and tasks"),
    ("_keys", "keys of a list"),
    ("_lengths", "different lengths"),
    ("_rows", "rows"),
    ("_joins", "joins"),
    ("_values", "values"),
    ("_chars", "characters"),
    ("_calls", "calls"),
    ("_lazy_reads", "lazy reads"),
    ("_bytes", "bytes"),
    ("_min_ratio", "times"),
    ("_sessions_min", "sessions"),
    ("_sessions_critical", "sessions"),
)


def main() -> int:
    """Write what is stale, or with ``--check`` name it and return 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a page is stale")
    check = parser.parse_args().check
    stale = list(stale_pages())
    for path, text in stale:
        if text is None:
            print(f"{path.relative_to(ROOT)}: no code is called so any more")
        else:
            print(f"{path.relative_to(ROOT)}: {'stale' if check else 'written'}")
        if check:
            continue
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


def stale_pages() -> Iterator[tuple[Path, str | None]]:
    """Yield every file that differs, with what it should hold; None where it should not be."""
    wanted = generated()
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield path, text
    for path in sorted((DOCS / "reference" / "codes").glob("*.md")):
        if path not in wanted:
            yield path, None


def generated() -> dict[Path, str]:
    """Return every generated file with its content."""
    reference = DOCS / "reference"
    codes = reference / "codes"
    found = {codes / f"{code}.md": code_page(code) for code in registry.all_detectors()}
    found[codes / "README.md"] = index_of_codes()
    found[reference / "settings.md"] = settings_page()
    found[reference / "cli.md"] = command_line_page()
    found[reference / "api.md"] = api_page()
    found[reference / "patches.md"] = patches_page()
    for name, described in SCHEMAS.items():
        found[reference / name] = json.dumps(schema.schema_of(described), indent=1) + "\n"
    readme = ROOT / "README.md"
    text = between(readme.read_text(encoding="utf-8"), CODES, table_of_codes(f"{CODES_FOLDER}/"))
    found[readme] = between(text, COST, cost_section())
    index = DOCS / "README.md"
    found[index] = between(index.read_text(encoding="utf-8"), COST, cost_line())
    return found


# -- what is patched ---------------------------------------------------------------------------

WHY = {
    # (how the name of what is replaced ends: what for)
    "AsyncToSync.__call__": "the line that waits, for statements of the coroutine",
    "SyncToAsync.__call__": "the line that waits, for statements of the thread",
    "ASGIHandler.send_response": "the end of a Trace whose response could not be sent",
    "BaseHandler.make_view_atomic": "the stage of the view",
    "BaseCommand.execute": "one Trace a command; with `queryscope.django` in `INSTALLED_APPS`",
    "BaseDatabaseWrapper._commit": "the end of a transaction",
    "BaseDatabaseWrapper._rollback": "the end of a transaction",
    "BaseDatabaseWrapper._savepoint": "savepoints",
    "BaseDatabaseWrapper.close": "the end of a session",
    "BaseDatabaseWrapper.make_cursor": "rows, counted by a cursor of our class",
    "BaseDatabaseWrapper.make_debug_cursor": "rows, counted by a cursor of our class",
    "BaseDatabaseWrapper.set_autocommit": "the begin of a transaction",
    "DatabaseWrapper._close": "a connection back in psycopg's pool; where an alias has one",
    "DatabaseWrapper.get_new_connection": "a connection out of psycopg's pool",
    "WaitingClient.wait": "waiting for psycopg's pool",
    "Model.refresh_from_db": "what is read of a row after it was refreshed; full recording",
    "Model._do_update": "rows that are written back as they were; full recording",
    "ModelIterable.__iter__": "which statement loaded an instance; full recording",
    "sql.query.Query.__init__": "where a queryset was made; full recording",
    "ForwardManyToOneDescriptor.__get__": "a relation that is read; full recording",
    "ReverseManyToOneDescriptor.__get__": "a relation that is read; full recording",
    "ReverseOneToOneDescriptor.__get__": "a relation that is read; full recording",
    "query.QuerySet.__iter__": "columns that are quiet between watched rows; full recording",
    "query.get_prefetcher": "what a prefetch reads itself does not count; full recording",
    "query.prefetch_one_level": "what a prefetch reads itself does not count; full recording",
    "Template.render": "the stage of a template",
    "SimpleTemplateResponse.render": "the stage of a lazy response",
    "BaseSerializer.data": "the stage of a serializer; where REST framework is installed",
    "CursorResult._fetchall_impl": "rows",
    "CursorResult._fetchiter_impl": "rows",
    "CursorResult._fetchmany_impl": "rows",
    "CursorResult._fetchone_impl": "rows",
    "DefaultDialect.do_begin": "the begin of a transaction",
    "DefaultDialect.do_begin_twophase": "the begin of a two-phase transaction",
    "DefaultDialect.do_commit": "the end of a transaction",
    "DefaultDialect.do_commit_twophase": "the end of a two-phase transaction",
    "DefaultDialect.do_rollback": "the end of a transaction",
    "DefaultDialect.do_rollback_twophase": "the end of a two-phase transaction",
    "DefaultDialect.do_savepoint": "savepoints",
    "DefaultDialect.do_execute": "statements; also in dialects that have their own",
    "DefaultDialect.do_execute_no_params": "statements; also in dialects that have their own",
    "DefaultDialect.do_executemany": "statements; also in dialects that have their own",
    "DefaultDialect.engine_created": "engines, and the lines that make them",
    "InstrumentedAttribute.__get__": "attributes that are read; full recording",
    "InstrumentedAttribute.__set__": "rows that are written; full recording",
    "CollectionAttributeImpl.fire_append_event": "rows put into a relation; full recording",
    "InstanceState.__getstate__": "rows that are pickled; full recording",
    "UOWTransaction.register_object": "rows that are flushed; full recording",
    "loading._instance_processor": "the instances of a statement, by class; full recording",
    "loading.instances": "which statement loaded an instance",
    "orm.query.Query.__init__": "where a legacy query was made; full recording",
    "RelationshipProperty._with_parent": "whose rows a statement asks for",
    "Session.__init__": "sessions, and their openers",
    "Session._close_impl": "the end of a session",
    "Pool.connect": "checkouts, and their openers",
    "SingletonThreadPool.connect": "checkouts, and their openers",
    "_ConnectionFairy._checkin": "a connection back in its pool",
    "_ConnectionRecord.__connect": "the time that opening a connection takes",
    "Queue.get": "waiting for a pool",
    "ThreadPoolExecutor.submit": "the Trace goes with the work",
    "ThreadPool.__init__": "a pool's own threads belong to no Trace",
    "Thread._bootstrap": "the Trace goes with the thread",
    "Thread.start": "the Trace goes with the thread",
    "Logger.handle": "log calls, counted by line; full recording",
    "HTTPConnection.putrequest": "the start of an outgoing request; full recording",
    "HTTPConnection.getresponse": "its end; full recording",
    "signal.raise_signal": "what waits is written before a process ends itself, as uvicorn does",
    "templating._render": "the stage of a template",
    "trace.build_tracer": "one Trace a task",
}
"""What each is replaced for; a name of ``ThreadPool`` that is not here carries the Trace too."""


def patches_page() -> str:
    """Return the page of what is patched, as a process of its own tells it."""
    done = subprocess.run(
        [sys.executable, str(DOCS / "patched.py")], capture_output=True, text=True, check=True
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    lines = [
        "# What queryscope patches, and how to take it out",
        "",
        NOTE.format(source="what `install()` does"),
        "Importing queryscope patches nothing, starts no thread and opens no socket. The",
        "middleware, `queryscope.install()`, `queryscope.celery.install()`, `queryscope run` and",
        "the pytest plugin do, each what is in use in the process: Django's part where Django is",
        "imported, gevent's where gevent is. Without a Recorder that is open each of these calls",
        "the original after one look at a context variable.",
        "",
        "```python",
        "import queryscope",
        "",
        "queryscope.uninstall()  # every attribute below is again what it was",
        "```",
        "",
        "What another library has wrapped around ours since then keeps working: its wrapper stays,",
        "with ours inside it, which does nothing any more. To see what is in now, look for",
        "functions whose `__wrapped__` is the original: `BaseDatabaseWrapper.close.__wrapped__`.",
        "",
    ]
    for title, names in found.items():
        lines += [f"## {title}", "", "| replaced | for |", "| --- | --- |"]
        for name in names:
            shown = re.sub(r"\._[A-Za-z]+Record__", ".__", name)
            lines.append(f"| `{shown}` | {_why(shown)} |")
        lines += ["", *BESIDE.get(title, ())]
    return "\n".join(lines).rstrip("\n") + "\n"


BESIDE = {
    "Django": (
        "Beside these: our execute wrapper in `execute_wrappers` of each connection object, first",
        "in the list; a receiver of the signals `connection_created` and `got_request_exception`;",
        "one number in `_state` of loaded instances and in querysets, in full recording.",
        "",
        "Where `reads` is on (full recording, unless the setting says no): the descriptor of each",
        "column on each model class, a receiver of the signal `class_prepared`, a default for",
        "`ModelState._queryscope_query`, and in place of the number what was read so far. The",
        "`__dict__` of the first rows of a statement, and of a few later ones, is a `dict` that",
        "tells when somebody reads it whole; copies and pickles of it are plain. While rows are",
        "loaded, and between those rows, a column that every result is known to be read by has",
        "Django's own descriptor class again.",
        "",
    ),
    "SQLAlchemy": (
        "Beside these: a listener of the session event `after_begin`; one attribute,",
        "`_queryscope`, on pools, connection records, checked-out connections and execution",
        "contexts. Never a listener of engine or connection events: it would put every engine on",
        "SQLAlchemy's slow path, also after it was removed. Where `reads` is on, the `__dict__` of",
        "a few instances of each statement, as with Django.",
        "",
    ),
    "Flask": ("Beside these: receivers of the signals of a started and a failed request.", ""),
    "Celery": ("Beside these: receivers of the signals of a worker's shutdown.", ""),
    "gevent": ("Beside these: a callback of `Greenlet.add_spawn_callback`.", ""),
}


def _why(name: str) -> str:
    """Return what something is replaced for; a name that nobody explained is an error."""
    ends = [end for end in WHY if name.endswith(f".{end}")]
    if ends:
        return WHY[max(ends, key=len)]
    if ".ThreadPool." in name:
        return "the Trace goes with the work"
    ends = [end for end in WHY if name.endswith(end)]
    return WHY[max(ends, key=len)]


# -- codes -------------------------------------------------------------------------------------


def code_page(code: str) -> str:
    """Return the page of a code: its detector's docstring."""
    detector = registry.all_detectors()[code]
    head, _, rest = registry.page_of(code).partition("\n")
    module = str(getattr(detector, "__name__", "")).replace(".", "/")
    names = ", ".join(f"[`{name}`](../settings.md#{name})" for name in sorted(detector.THRESHOLDS))
    text = f"# {code} {detector.NAME}\n\n"
    text += NOTE.format(source=f"src/{module}.py")
    text += f"\n{sentence(head.partition(':')[2].strip())}\n{rest}"
    if names:
        text += f"\nIts thresholds with their defaults: {names}.\n"
    return text


def sentence_of(code: str) -> str:
    """Return what a code finds, in one sentence without its full stop."""
    return registry.page_of(code).partition("\n")[0].partition(":")[2].strip().rstrip(".")


def table_of_codes(folder: str) -> str:
    """Return the table of all codes; their pages are linked to in ``folder``."""
    rows = [
        f"| [{code}]({folder}{code}.md) | {detector.NAME} | {sentence_of(code)} |"
        for code, detector in registry.all_detectors().items()
    ]
    return "\n".join(["| code | name | what it says |", "|---|---|---|", *rows]) + "\n"


def index_of_codes() -> str:
    """Return the index of the codes' pages."""
    return (
        "# Codes\n\n"
        + NOTE.format(source="src/queryscope/detectors/")
        + "\nA code never changes its meaning. `queryscope rule QS101` shows its page in the "
        "terminal.\n\n"
        + table_of_codes("")
        + "\nWhere two codes explain the same statements, the one that comes first here speaks: "
        + ", ".join(registry.PRECEDENCE)
        + ". A code that is not among these speaks of something else, and stands beside them.\n"
    )


def between(text: str, name: str, generated_part: str) -> str:
    """Return a page with a generated part between the two marks of that name.

    Raises:
        ValueError: The page has no such marks.
    """
    begin = f"<!-- {name}: written by `make docs` -->"
    end = f"<!-- end of {name} -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the page has no {begin} and {end}")
    return f"{before}{begin}\n{generated_part}{end}{after}"


def cost_section() -> str:
    """Return what the README says of the overhead: where it was measured, once it was."""
    if not OVERHEAD.exists():
        return ""
    link = OVERHEAD.relative_to(ROOT).as_posix()
    return (
        f"## What it costs\n\nMeasured in pairs, bare and recorded, in one process: "
        f"[overhead]({link}).\n"
    )


def cost_line() -> str:
    """Return the line of the index about the overhead, once it was measured."""
    if not OVERHEAD.exists():
        return ""
    return f"- [Overhead](reference/{OVERHEAD.name}): what recording costs, measured\n"


# -- settings ----------------------------------------------------------------------------------


def settings_page() -> str:
    """Return the page of all settings and thresholds."""
    meanings = attributes_of(Settings)
    types = get_type_hints(Settings, localns={"Mapping": Mapping})
    rows = []
    for item in fields(Settings):
        if item.name == "thresholds":
            continue
        default = "by the mode" if item.default is None else f"`{item.default!r}`"
        if item.name == "mode":
            default = "[found out](#what-the-mode-decides)"
        name = f'<a id="{item.name}"></a>`{item.name}`'
        rows.append(f"| {name} | {kind_of(types[item.name])} | {default} | {meanings[item.name]} |")
    lines = [
        "# Settings",
        "",
        NOTE.format(source="src/queryscope/settings.py and the detectors").strip(),
        "",
        (
            "Django: `QUERYSCOPE = {...}` in the settings. WSGI: "
            "`queryscope.wsgi.Middleware(app, {...})`. ASGI: "
            "`queryscope.asgi.Middleware(app, {...})`. A name that does not exist, or a value of "
            "the wrong type, is an error at start, which names the nearest right one."
        ),
        "",
        "| name | type | default | meaning |",
        "|---|---|---|---|",
        *rows,
        "",
        "## What the mode decides",
        "",
        markdown_of((inspect.getdoc(Settings) or "").partition("\n\n")[2].partition("\n\n")[0]),
        "",
        f"| | {' | '.join(MODES)} |",
        f"|---|{'---|' * len(MODES)}",
        *by_mode(),
        "",
        "## Thresholds",
        "",
        (
            "They stand beside the settings, by the same flat names: "
            '`QUERYSCOPE = {"n_plus_one_min_parents": 4}`.'
        ),
        "",
        "| name | default | unit | meaning | codes |",
        "|---|---|---|---|---|",
        *thresholds(),
        "",
        policy_part(),
        "## Environment variables",
        "",
        "| name | meaning |",
        "|---|---|",
        *(
            f"| `{value}` | {described} |"
            for value, described in environment_variables(settings_source())
        ),
        "",
    ]
    return "\n".join(lines)


def policy_part() -> str:
    """Return the part about what stands in pyproject.toml, and about the baseline."""
    texts = [inspect.getdoc(module) or "" for module in (decisions, baseline, comments)]
    named, entries, ignores = (text.partition("\n\n")[2] for text in texts)
    return "\n\n".join(
        [
            "## Which findings are known",
            "All of it at work: [Adopt it in a legacy code base](../how-to/legacy-code-base.md).",
            "### pyproject.toml",
            markdown_of(named),
            "### The baseline",
            markdown_of(entries),
            "### Inline ignores",
            "`# queryscope: ignore[QS101] reason`, or with several codes `ignore[QS101, QS201]`. "
            + markdown_of(ignores).partition(" Files are read")[0].partition("\nFiles are")[0],
            "",
        ]
    )


def attributes_of(described: type) -> dict[str, str]:
    """Return what the ``Attributes:`` section of a docstring says, by name."""
    text = inspect.getdoc(described) or ""
    section = text.partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        start = re.match(r" {4}(\w+): (.*)", line)
        if start:
            name = start[1]
            found[name] = start[2]
        elif line.strip() and name:
            found[name] += f" {line.strip()}"
    return {key: value.replace("``", "`") for key, value in found.items()}


def kind_of(hint: Any) -> str:
    """Return a type in a user's words."""
    options = [option for option in get_args(hint) if option is not type(None)]
    if str(get_origin(hint)) == "typing.Literal":
        return " or ".join(f"`{option!r}`" for option in options)
    if get_origin(hint) is tuple:
        return "list of strings"
    if options:
        return kind_of(options[0])
    return {"bool": "`True` or `False`", "int": "whole number", "float": "number", "str": "text"}[
        hint.__name__
    ]


def by_mode() -> Iterator[str]:
    """Yield the rows of what each mode decides, asked of the runtime itself."""
    found = {mode: runtime.Runtime(Settings(), mode) for mode in MODES}
    decided = {
        "recording": lambda one: "`'full'`" if one.full else "`'light'`",
        "viewer": lambda one: f"`{one.viewer}`",
        "console": lambda one: f"`{one.console}`",
        "headers": lambda one: f"`{one.headers}`",
        "keep_values": lambda one: "in memory only" if one.keep_values else "`False`",
        "store": stored,
    }
    for name, of in decided.items():
        cells = " | ".join(of(found[mode]) for mode in MODES)
        yield f"| [`{name}`](#{name}) | {cells} |"


def stored(one: runtime.Runtime) -> str:
    """Return which kinds of Traces a runtime writes to the store."""
    kinds = [
        kind
        for kind in get_args(events.TraceKind)
        if one._stores(  # what it does is what the page says
            events.Trace(id="", kind=kind, name="", started_at_ns=0, duration_ns=0)
        )
    ]
    if len(kinds) == len(get_args(events.TraceKind)):
        return "every Trace"
    if not kinds:
        return "nothing, unless `queryscope run` started the tests"
    return ", ".join(f"{kind}s" for kind in kinds)


def thresholds() -> Iterator[str]:
    """Yield the rows of the thresholds."""
    users: dict[str, list[str]] = {}
    for code, detector in registry.all_detectors().items():
        for name in detector.THRESHOLDS:
            users.setdefault(name, []).append(f"[{code}](codes/{code}.md)")
    for name, threshold in sorted(registry.thresholds().items()):
        default = threshold.default
        if isinstance(default, (int, float)):
            shown = f"{default:g}"
        else:
            shown = ", ".join(f"{default[mode]:g} in {mode}" for mode in MODES)
        meaning = threshold.meaning.rstrip(".")
        yield (
            f'| <a id="{name}"></a>`{name}` | {shown} | {unit_of(name)} '
            f"| {meaning[0].upper()}{meaning[1:]}. | {', '.join(users[name])} |"
        )


def unit_of(name: str) -> str:
    """Return the unit that the name of a threshold carries.

    Raises:
        ValueError: It carries none that is known here.
    """
    for ending, unit in UNITS:
        if name.endswith(ending):
            return unit
    raise ValueError(f"which unit has the threshold {name}? Add it to UNITS.")


def settings_source() -> ast.Module:
    """Return the module of the settings as a syntax tree."""
    return ast.parse(Path(inspect.getsourcefile(Settings) or "").read_text(encoding="utf-8"))


def environment_variables(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the environment variables of a module, each with the text below its name."""
    for node, after in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id.endswith("_VARIABLE")
            and isinstance(node.value, ast.Constant)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            text = " ".join(str(after.value.value).split()).replace("``", "`")
            yield str(node.value.value), text


# -- command line ------------------------------------------------------------------------------


def command_line_page() -> str:
    """Return the page of the commands, from their parsers."""
    parts = [
        "# Command line\n\n"
        + NOTE.format(source="src/queryscope/cli/")
        + "\n`queryscope COMMAND ...`, or `python -m queryscope COMMAND ...`. "
        f"It ends with {cli.FAILED} after wrong use and when what was asked for is not there.\n"
    ]
    rows = [f"| [`{name}`](#queryscope-{name}) | {c.summary} |" for name, c in cli.COMMANDS.items()]
    parts.append("\n".join(["| command | what it does |", "|---|---|", *rows]) + "\n")
    parts += [command_part(name) for name in cli.COMMANDS]
    return "\n".join(parts)


def command_part(name: str) -> str:
    """Return the part of the page about one command."""
    parser = cli.command_parser(name)
    rows = []
    words = []
    for action in parser._actions:  # there is no public way to a parser's arguments
        if isinstance(action, argparse._HelpAction):
            continue
        value = "" if action.nargs == 0 else str(action.metavar or "")
        if action.choices:
            value = "{" + ",".join(map(str, action.choices)) + "}"
        for_one = " ".join(filter(None, [(action.option_strings or [""])[-1], value]))
        words.append(f"[{for_one}]" if not action.required else for_one)
        rows.append(f"| `{for_one}` | {cell(action.help or '')} |")
    usage = (parser.usage or f"%(prog)s {' '.join(words)}") % {"prog": parser.prog}
    text = f"## queryscope {name}\n\n{sentence(cli.COMMANDS[name].summary)}\n\n"
    text += f"    {usage}\n\n"
    text += "\n".join(["| argument | meaning |", "|---|---|", *rows]) + "\n"
    if parser.epilog:
        text += f"\n{parser.epilog}\n"
    return text


def cell(text: str) -> str:
    """Return a text that can stand in the cell of a table."""
    return text.replace("|", "\\|")


def sentence(text: str) -> str:
    """Return a text as a sentence."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


# -- API ---------------------------------------------------------------------------------------


def api_page() -> str:
    """Return the page of the public names, with their signatures."""
    parts = [
        "# API\n\n"
        + NOTE.format(source="the docstrings")
        + "\nThese names are what you may rely on; whatever else the modules hold may change.\n",
        part("queryscope.install", adapters.install),
        part("queryscope.uninstall", adapters.uninstall),
        part("queryscope.profile", profiling.profile),
        "What `with profile(...) as run` gives:\n",
        part("run.trace", profiling.Run.trace, level=3),
        part("run.findings", profiling.Run.findings, level=3),
        part("queryscope.stage", profiling.stage),
        part("queryscope.wsgi.Middleware", wsgi.Middleware),
        part("queryscope.asgi.Middleware", asgi.Middleware),
        part("queryscope.celery.install", celery.install),
        django_part(),
        budget_part(),
        growth_part(),
        "## What a Trace and a finding hold\n",
        data_part("Trace", events.Trace),
        data_part("Query", events.Query),
        data_part("Finding", finding.Finding),
        data_part("Cost", finding.Cost),
        data_part("Mend", finding.Mend),
        data_part("Known", finding.Known),
        data_part("Frame", events.Frame),
        data_part("TemplateNode", events.TemplateNode),
        "## Errors\n",
        "\n".join(
            f"- `queryscope.errors.{name}`: {first_line(kind)}"
            for name, kind in vars(errors).items()
            if isinstance(kind, type) and issubclass(kind, errors.QueryscopeError)
        )
        + "\n",
    ]
    return "\n".join(parts)


def part(name: str, described: Any, *, level: int = 2) -> str:
    """Return the part of the page about one name."""
    if isinstance(described, property):
        shown = f"{name}: {annotation_of(described)}"
    else:
        shown = f"{name}{signature_of(described)}"
    return f"{'#' * level} {name}\n\n    {shown}\n\n{markdown(described)}\n"


def annotation_of(described: property) -> str:
    """Return the type of a property as it is written."""
    return str(inspect.signature(described.fget).return_annotation)


def signature_of(described: Any) -> str:
    """Return a signature as it is written, without ``self``."""
    signature = inspect.signature(described)
    shown = []
    keywords_only = False
    for argument in signature.parameters.values():
        if argument.kind is argument.KEYWORD_ONLY and not keywords_only:
            keywords_only = True
            shown.append("*")
        default = "" if argument.default is argument.empty else f" = {argument.default!r}"
        shown.append(f"{argument.name}: {argument.annotation}{default}".replace("'", '"'))
    returned = "" if isinstance(described, type) else f" -> {signature.return_annotation}"
    return f"({', '.join(shown)}){returned}"


def first_line(described: Any) -> str:
    """Return the first sentence of a docstring."""
    return (inspect.getdoc(described) or "").partition("\n")[0]


_SECTION = re.compile(r"^(Args|Raises|Returns|Yields|Attributes|Example):$")


def markdown(described: Any) -> str:
    """Return a Google-style docstring as Markdown; attributes are left to tables."""
    return markdown_of(inspect.getdoc(described) or "")


def markdown_of(text: str) -> str:
    """Return a Google-style docstring as Markdown; attributes are left to tables."""
    lines: list[str] = []
    example: list[str] = []
    section = ""
    for line in text.splitlines():
        found = _SECTION.match(line)
        if found:
            section = found[1]
            if section not in ("Attributes", "Example"):
                lines += [f"**{section}**", ""]
            continue
        if not line.strip():
            lines.append("")
        elif section == "Attributes" and line.startswith(" "):
            continue
        elif section == "Example" and line.startswith(" "):
            example.append(line.removeprefix("    "))
        elif section and re.match(r" {4}\*{0,2}[\w.]+: ", line):
            name, _, meaning = line.strip().partition(": ")
            lines.append(f"- `{name}`: {meaning}")
        elif section and line.startswith(" "):
            lines.append(f"  {line.strip()}")
        else:
            section = ""
            lines.append(line)
    if example:
        lines += ["", "```pycon", *example, "```"]
    joined = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return re.sub(r"(?<!`)``(?!`)", "`", joined)


def django_part() -> str:
    """Return the part about Django's middleware and application."""
    return (
        "## queryscope.django\n\n```python\n"
        'MIDDLEWARE = ["queryscope.django.Middleware", ...]\n'
        'INSTALLED_APPS = ["queryscope.django", ...]  # only for management commands\n```\n\n'
        "The middleware records every request; it stands first, so that it sees the others' "
        "queries. Settings are read from `QUERYSCOPE`, see [Settings](settings.md). With the "
        "application in `INSTALLED_APPS` each management command is a Trace, too.\n"
    )


def fixture(name: str) -> tuple[str, str]:
    """Return (arguments, text) of what a fixture's value is called with, by its class."""
    tree = ast.parse(Path(plugin.__file__).read_text(encoding="utf-8"))
    function = next(
        node
        for item in ast.walk(tree)
        if isinstance(item, ast.ClassDef) and item.name == name
        for node in ast.walk(item)
        if isinstance(node, ast.FunctionDef) and node.name == "__call__" and ast.get_docstring(node)
    )
    arguments = ast.unparse(function.args).removeprefix("self, ").replace("=", " = ")
    return arguments, markdown_of(ast.get_docstring(function) or "")


def growth_part() -> str:
    """Return the part about the fixture that asserts growth."""
    arguments, text = fixture("QueryGrowth")
    return (
        f"## query_growth\n\n    query_growth({arguments})\n\n{text}\n\n"
        "See [Find what grows with the data](../how-to/growth.md).\n"
    )


def budget_part() -> str:
    """Return the part about the fixture and the mark of the pytest plugin."""
    arguments, text = fixture("QueryBudget")
    rows = "\n".join(f"| `query_budget_{name}` | {text} |" for name, text in plugin._HELP.items())
    return (
        "## query_budget\n\n"
        f"    query_budget({arguments})\n"
        f"    pytest.mark.query_budget({arguments})\n\n"
        "The fixture gives a block its maxima, the mark the call of a test; `None` is not "
        f"checked.\n\n{text}\n\n"
        "Defaults for a bare `query_budget()` or a bare mark stand in pytest's configuration; "
        "`query_budget_all = true` gives them to every test without a mark.\n\n"
        f"| setting of pytest | maximum of |\n|---|---|\n{rows}\n\n"
        "`pytest --queryscope-strict` fails each test with an open finding of level warning or "
        "graver; see [Adopt it in a legacy code base](../how-to/legacy-code-base.md).\n\n"
        f"Contracts among the collected files are asked, each request a test; `pytest "
        f"{plugin.CONTRACT_UPDATE}` writes those anew whose answers differ, and `pytest "
        f"{plugin.CONTRACT_CAPTURE}` keeps the requests of tests for new ones; see "
        "[Verify a patch](../how-to/verify-a-patch.md).\n"
    )


def data_part(name: str, described: type) -> str:
    """Return the table of what a value holds."""
    meanings = attributes_of(described)
    hints: Mapping[str, Any] = vars(described).get("__annotations__", {})
    rows = [
        f"| `{field}` | `{cell(getattr(hint, '__forward_arg__', str(hint)))}` "
        f"| {cell(meanings.get(field, ''))} |"
        for field, hint in hints.items()
    ]
    for field, value in vars(described).items():
        if isinstance(value, property):
            hint = annotation_of(value)
            rows.append(f"| `{field}` | `{cell(hint)}` | {cell(first_line(value))} |")
    head = markdown(described)
    table = "\n".join(["| name | type | meaning |", "|---|---|---|", *rows])
    return f"### {name}\n\n{head}\n\n{table}\n"


if __name__ == "__main__":
    sys.exit(main())
