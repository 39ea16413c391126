"""A headless Chromium that loads one page and hands back what became of it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from tests.report.pages import Page
from tests.services import chromium_path

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The harness reads the report in its frame; both are files.
    "--allow-file-access-from-files",
)
TIMEOUT_S = 90

# Runs STEPS inside the framed report and leaves what they return in the harness's own document.
_HARNESS = """<!doctype html><meta charset="utf-8"><body>
<iframe src="report.html" width="1200" height="900"></iframe>
<script>
const frame = document.querySelector('iframe');
const finish = (result) => {
  const out = document.createElement('output');
  out.textContent = JSON.stringify(result);
  document.body.append(out);
};
frame.addEventListener('load', async () => {
  const doc = frame.contentDocument;
  const win = frame.contentWindow;
  const press = (key, options = {}) => (doc.activeElement || doc.body).dispatchEvent(
    new win.KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...options }));
  const mouse = (target, type, x, y, options = {}) => target.dispatchEvent(
    new win.MouseEvent(type, {
      clientX: x, clientY: y, bubbles: true, cancelable: true, button: 0, ...options,
    }));
  try {
    finish(await (async () => { STEPS })());
  } catch (error) {
    finish({ failed: String(error), stack: error.stack });
  }
});
</script>"""


def dom_of(file: Path, *flags: str) -> str:
    """Return the document that a page has become once its script has run."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            chromium_path(),
            *FLAGS,
            f"--user-data-dir={profile}",
            "--virtual-time-budget=8000",
            *flags,
            "--dump-dom",
            file.as_uri(),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-2_000:]
    return done.stdout.decode("utf-8")


def loaded(folder: Path, text: str, *flags: str) -> Page:
    """Return the elements of a page after the browser has loaded it."""
    file = folder / "report.html"
    file.write_bytes(text.encode("utf-8"))
    return Page(dom_of(file, *flags))


def driven(folder: Path, text: str, steps: str) -> dict:
    """Load a page in a frame, run JavaScript ``steps`` on it and return what they return.

    ``doc`` and ``win`` are the report's; ``press(key)`` and ``mouse(target, type, x, y)`` send
    it events.
    """
    (folder / "report.html").write_bytes(text.encode("utf-8"))
    harness = folder / "harness.html"
    harness.write_text(_HARNESS.replace("STEPS", steps), encoding="utf-8")
    dom = dom_of(harness)
    found = dom.partition("<output>")[2].partition("</output>")[0]
    assert found, f"the page did not load within the time: {dom[:500]}"
    page = Page(f"<p>{found}</p>")
    result = json.loads(page.text)
    assert "failed" not in result, result
    return result


def body(page: Page) -> dict[str, str | None]:
    """Return the attributes of a page's body."""
    return page.all("body")[0]
