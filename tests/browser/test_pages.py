"""The report in a browser: it runs without an error, stays closed, and does what its keys say."""

from __future__ import annotations

import pytest

from queryscope.report import html
from queryscope.verify.report import render
from tests.browser.chromium import body, driven, loaded
from tests.builders import MS, a_finding, a_frame, a_session, a_trace, an_origin, some
from tests.report.pages import HOSTILE, Page, a_full_trace, poisoned, some_findings
from tests.verify.verifications import a_proposal, hostile, proved, refused


@pytest.fixture(scope="module")
def report():
    """Return the page of a Trace that has one of everything."""
    return html.render(a_full_trace(), some_findings())


@pytest.fixture(scope="module")
def folded():
    """Return the page of findings with long places and names, folded and alone."""
    long = "a_module_with_a_long_name/" * 3 + "views.py"
    place = an_origin(a_frame(file=f"/srv/{long}", module=long[:-3].replace("/", ".")))
    findings = [a_finding("QS501", name="many-sessions", origin=place) for _ in range(3)]
    return html.render(a_full_trace(), [*findings, a_finding(origin=place)])


@pytest.fixture(scope="module")
def big():
    """Return the page of 10,000 statements."""
    queries = some(
        10_000,
        lambda n: f"SELECT a FROM t{n % 30} WHERE id = %s",
        parameters=lambda n: (n,),
        keep=True,
        thread=lambda n: n % 3,
        session=0,
    )
    trace = a_trace(*queries, sessions=[a_session(closed_ns=15_000 * MS)])
    return html.render(trace, [a_finding(queries=tuple(range(0, 10_000, 30)))])


def test_script_runs_without_an_error(tmp_path, report):
    """The policy lets our script run, and it ends without an error."""
    attributes = body(loaded(tmp_path, report))
    assert attributes.get("data-errors") is None
    assert attributes.get("data-ready") == "yes"


def test_changed_script_is_refused(tmp_path, report):
    """A script that is not ours to the letter does not run: the policy is in force."""
    attributes = body(loaded(tmp_path, report.replace("'use strict';", "'use strict'; ", 1)))
    assert attributes.get("data-ready") is None


@pytest.mark.parametrize("keep", [True, False])
def test_hostile_page_has_no_foreign_element(tmp_path, keep):
    """Hostile strings everywhere: the browser sees our elements only, and no error."""
    trace = poisoned(a_full_trace(keep=keep))
    findings = [poisoned(item) for item in some_findings()]
    page = loaded(tmp_path, html.render(trace, findings, failed_detectors=[HOSTILE]))
    attributes = body(page)
    assert attributes.get("data-errors") is None
    assert attributes.get("data-ready") == "yes"
    harmless = Page(html.render(a_full_trace(), some_findings(), failed_detectors=["x"]))
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in harmless.elements} | {"path"}
    assert not [a for _, a in page.elements if a.get("id") == "evil" or "onerror" in a]
    assert len(page.all("script")) == 2


def test_hostile_executions_are_shown_as_text(tmp_path):
    """What the script itself puts into the page is text, too."""
    queries = some(
        9, parameters=lambda n: (n, HOSTILE), keep=True, error=HOSTILE, stage=-1, rows=None
    )
    found = driven(
        tmp_path,
        html.render(poisoned(a_trace(*queries)), [poisoned(item) for item in some_findings()]),
        """
        doc.querySelector('.show-all').click();
        press('j');
        const elements = Array.from(doc.querySelectorAll('*'));
        const names = new Set(elements.map((e) => e.tagName.toLowerCase()));
        return {
          rows: doc.querySelectorAll('.executions tbody tr').length,
          foreign: ['img', 'textarea'].filter((name) => names.has(name)),
          evil: Boolean(doc.getElementById('evil')),
          text: doc.querySelector('.executions').textContent.includes('<img src=x'),
        };
        """,
    )
    assert found == {"rows": 9, "foreign": [], "evil": False, "text": True}


def test_ten_thousand_statements_become_ready(tmp_path, big):
    """The large page is ready without an error, and its marks are few."""
    page = loaded(tmp_path, big)
    attributes = body(page)
    assert attributes.get("data-errors") is None
    assert attributes.get("data-ready") == "yes"
    assert len(page.all("rect")) < 4_000


def test_large_page_answers_at_once(tmp_path, big):
    """Zooming, choosing a finding, filtering and showing more do not hang."""
    found = driven(
        tmp_path,
        big,
        """
        const timed = (action) => {
          const start = performance.now();
          action();
          doc.body.getBoundingClientRect();
          return performance.now() - start;
        };
        const filter = doc.getElementById('filter');
        const first = doc.querySelector('.group');
        first.open = true;
        return {
          zoom: timed(() => press('+')),
          finding: timed(() => press('j')),
          more: timed(() => first.querySelector('.show-all').click()),
          filter: timed(() => {
            filter.value = 't7';
            filter.dispatchEvent(new win.Event('input', { bubbles: true }));
          }),
          rows: first.querySelectorAll('.executions tbody tr').length,
          errors: doc.body.dataset.errors || '',
        };
        """,
    )
    assert found.pop("errors") == ""
    assert found.pop("rows") == 203
    assert max(found.values()) < 2_000, found  # ms, on a busy machine; a hang is longer


def test_keys_walk_through_findings(tmp_path, report):
    """The keys j and k choose and open findings in their order, and mark their statements."""
    found = driven(
        tmp_path,
        report,
        """
        const chosen = () => doc.querySelector('.finding.current')?.id || '';
        const seen = [];
        for (const key of ['j', 'j', 'k', 'j']) { press(key); seen.push(chosen()); }
        const hot = doc.querySelectorAll('path.hot').length;
        const open = doc.getElementById(chosen()).open;
        press('Escape');
        return { seen, hot, open, after: chosen() };
        """,
    )
    assert found == {"seen": ["f0", "f1", "f0", "f1"], "hot": 1, "open": True, "after": ""}


def test_keys_zoom_and_move_the_timeline(tmp_path, report):
    """Plus zooms in, arrows move, zero shows the whole Trace again."""
    found = driven(
        tmp_path,
        report,
        """
        const box = () => doc.querySelector('.queries .track').getAttribute('viewBox')
          .split(' ').map(Number);
        const before = box();
        press('+');
        const zoomed = box();
        const live = doc.querySelectorAll('.queries .track path').length;
        press('ArrowRight');
        const moved = box();
        press('-');
        press('0');
        return { before, zoomed, moved, live, after: box() };
        """,
    )
    assert found["before"] == found["after"] == [0, 0, 10_000, 20]
    assert found["zoomed"] == [2_500, 0, 5_000, 20]
    assert found["moved"] == [3_500, 0, 5_000, 20]
    assert found["live"] > 0


def test_narrow_screen_has_few_ticks(tmp_path):
    """On a telephone the marks of the time axis are so few that they stay apart."""
    page = html.render(a_trace(*some(3), duration_ns=12 * MS), ())
    narrow, wide = (
        len(loaded(tmp_path, page, f"--window-size={width},900").all("line"))
        for width in (500, 1280)
    )
    assert (narrow, wide) == (3, 7)


def test_dragging_zooms_into_what_was_dragged_over(tmp_path, report):
    """A drag from a quarter to the half of the timeline shows that quarter."""
    found = driven(
        tmp_path,
        report,
        """
        const grid = doc.querySelector('.grid').getBoundingClientRect();
        const lanes = doc.querySelector('.lanes');
        const x = (share) => grid.left + grid.width * share;
        mouse(lanes, 'mousedown', x(0.25), grid.top + 5);
        mouse(win, 'mousemove', x(0.4), grid.top + 5);
        mouse(win, 'mouseup', x(0.5), grid.top + 5);
        const shown = () => doc.querySelector('.queries .track').getAttribute('viewBox');
        const box = shown().split(' ').map(Number);
        mouse(lanes, 'dblclick', x(0.5), grid.top + 5);
        const after = shown();
        return { from: Math.round(box[0]), width: Math.round(box[2]), after };
        """,
    )
    assert abs(found["from"] - 2_500) < 25
    assert abs(found["width"] - 2_500) < 25
    assert found["after"] == "0 0 10000 20"


def test_pointer_over_a_statement_tells_it(tmp_path, report):
    """Over a mark the pointer shows the statement, and a click opens its group."""
    found = driven(
        tmp_path,
        report,
        """
        const track = doc.querySelector('.queries .track');
        track.scrollIntoView();
        const mark = track.querySelectorAll('rect')[2];
        const at = mark.getBoundingClientRect();
        const [x, y] = [at.left + at.width / 2, at.top + at.height / 2];
        mouse(mark, 'mousemove', x, y);
        const tip = doc.getElementById('tip');
        const text = tip.hidden ? '' : tip.textContent;
        mouse(mark, 'mousedown', x, y);
        mouse(mark, 'mouseup', x, y);
        const group = doc.querySelector('.group.current');
        return { text, open: group ? group.open : null, head: group ? group.textContent : '' };
        """,
    )
    assert found["text"].startswith("#2  1.00 ms")
    assert "library_book" in found["text"]
    assert found["open"] is True
    assert "library_book" in found["head"]


def test_filter_leaves_what_matches(tmp_path, report):
    """The filter hides findings and groups without its words, Escape shows all again."""
    found = driven(
        tmp_path,
        report,
        """
        press('/');
        const filter = doc.getElementById('filter');
        const focused = doc.activeElement === filter;
        const visible = () =>
          Array.from(doc.querySelectorAll('.finding:not([hidden])'), (e) => e.id);
        const set = (text) => {
          filter.value = text;
          filter.dispatchEvent(new win.Event('input', { bubbles: true }));
        };
        set('leaked CONNECTION');
        const matching = visible();
        set('no such words');
        const none = doc.querySelector('.none-match').hidden;
        filter.focus();
        press('Escape');
        return { focused, matching, none, after: visible() };
        """,
    )
    assert found == {
        "focused": True, "matching": ["f0"], "none": False, "after": ["f0", "f1", "f2"],
    }  # fmt: skip


def test_filter_knows_the_heading_of_folded_findings(tmp_path):
    """Folded findings are found by their code's name, and an empty fold is not shown."""
    findings = [
        *(
            a_finding("QS501", name="many-sessions", severity="critical", message=f"In {name}.")
            for name in ("amber", "birch", "cedar")
        ),
        a_finding("QS201", name="duplicate-select"),
    ]
    found = driven(
        tmp_path,
        html.render(a_trace(*some(3)), findings),
        """
        const filter = doc.getElementById('filter');
        const visible = () =>
          Array.from(doc.querySelectorAll('.finding'))
            .filter((e) => e.getClientRects().length).map((e) => e.id);
        const fold = () => doc.querySelector('.fold').getClientRects().length;
        const set = (text) => {
          filter.value = text;
          filter.dispatchEvent(new win.Event('input', { bubbles: true }));
        };
        set('many-sessions birch');
        const one = [visible(), fold()];
        set('duplicate-select');
        const other = [visible(), fold()];
        set('');
        return { one, other, all: visible().length };
        """,
    )
    assert found == {"one": [["f1"], 1], "other": [["f3"], 0], "all": 4}


def test_sorting_reorders_the_groups(tmp_path, report):
    """Statements can be sorted by count and by order of appearance."""
    found = driven(
        tmp_path,
        report,
        """
        const choice = doc.querySelector('[data-sort]');
        const order = (by, name) => {
          choice.value = by;
          choice.dispatchEvent(new win.Event('change', { bubbles: true }));
          return Array.from(doc.querySelector('.groups').children, (e) => Number(e.dataset[name]));
        };
        return { count: order('count', 'count'), first: order('first', 'first') };
        """,
    )
    assert found["count"] == sorted(found["count"], reverse=True)
    assert found["first"] == sorted(found["first"])
    assert len(set(found["count"])) > 1


def test_help_lists_the_keys(tmp_path, report):
    """The question mark shows and hides the keys, and they are on the page in any case."""
    found = driven(
        tmp_path,
        report,
        """
        const keys = doc.getElementById('keys');
        const popup = () => keys.classList.contains('popup');
        press('?');
        const on = popup();
        press('?');
        const listed = Array.from(keys.querySelectorAll('kbd'), (e) => e.textContent);
        return { on, off: popup(), listed };
        """,
    )
    assert (found["on"], found["off"]) == (True, False)
    assert {"j", "k", "/", "?", "+", "-", "0", "Enter", "c", "e", "n", "p"} <= set(found["listed"])


def test_link_opens_what_it_leads_to(tmp_path, report):
    """A link to a closed group opens it."""
    found = driven(
        tmp_path,
        report,
        """
        const link = doc.querySelector('.mentions a');
        const group = doc.getElementById(link.getAttribute('href').slice(1));
        const before = group.open;
        link.click();
        await new Promise((resolve) => setTimeout(resolve, 100));
        return { before, after: group.open };
        """,
    )
    assert found == {"before": False, "after": True}


def test_copy_takes_what_is_to_be_written(tmp_path, report):
    """The key c copies the text of the chosen finding, and says so."""
    found = driven(
        tmp_path,
        report,
        """
        let copied = '';
        Object.defineProperty(win.navigator, 'clipboard', {
          value: { writeText: async (text) => { copied = text; } }, configurable: true,
        });
        press('j');
        press('j');
        press('c');
        await new Promise((resolve) => setTimeout(resolve, 50));
        return { copied, button: doc.querySelector('.finding.current .copy').textContent };
        """,
    )
    assert found == {"copied": '.select_related("publisher")', "button": "Copied"}


@pytest.mark.parametrize("width", [360, 390, 1280])
@pytest.mark.parametrize("page", ["report", "folded"])
def test_page_fits_the_screen(request, tmp_path, page, width):
    """On no width does the page itself scroll sideways, findings and groups opened."""
    found = driven(
        tmp_path,
        request.getfixturevalue(page),
        f"""
        frame.width = {width};
        doc.querySelectorAll('details').forEach((item) => {{ item.open = true; }});
        await new Promise((resolve) => setTimeout(resolve, 50));
        const root = doc.documentElement;
        return {{ scroll: root.scrollWidth, client: root.clientWidth }};
        """,
    )
    assert found["scroll"] <= found["client"]


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("outcome", ["proved", "refused", "hostile"])
def test_verification_fits_the_screen(tmp_path, outcome, width):
    """The page of a verification fits narrow and wide screens, and needs no script."""
    long = {"a_key_of_a_long_name_" * 5: "a/long/value/" * 40}
    page = {
        "proved": lambda: render("html", proved(), a_proposal()),
        "refused": lambda: render("html", refused([long], [long, long]), a_proposal()),
        "hostile": lambda: render("html", *hostile()),
    }[outcome]()
    found = driven(
        tmp_path,
        page,
        f"""
        frame.width = {width};
        doc.querySelectorAll('details').forEach((item) => {{ item.open = true; }});
        await new Promise((resolve) => setTimeout(resolve, 50));
        const root = doc.documentElement;
        return {{
          fits: root.scrollWidth <= root.clientWidth,
          styled: win.getComputedStyle(doc.querySelector('.verdict')).borderLeftWidth,
          foreign: doc.querySelectorAll('script, img, textarea, #evil').length,
          bars: doc.querySelectorAll('.measure svg').length > 0,
          marked: doc.querySelectorAll('.diff .new').length > 0,
        }};
        """,
    )
    assert found == {
        "fits": True, "styled": "4px", "foreign": 0, "bars": outcome != "refused", "marked": True
    }  # fmt: skip


def test_list_fits_the_screen(tmp_path):
    """The list of Traces fits a narrow screen, too, and needs no script."""
    pairs = [(a_full_trace(), some_findings()), (a_trace(name="GET /" + "long/" * 40), [])]
    found = driven(
        tmp_path,
        html.render_list(pairs),
        """
        frame.width = 360;
        await new Promise((resolve) => setTimeout(resolve, 50));
        return {
          scroll: doc.documentElement.scrollWidth,
          client: doc.documentElement.clientWidth,
          links: doc.querySelectorAll('.traces a').length,
        };
        """,
    )
    assert found["scroll"] <= found["client"]
    assert found["links"] == 2
