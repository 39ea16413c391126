"""Takes the pictures of the report that the documentation shows, from the demonstration's Traces.

``make screenshots`` runs it. It needs Chromium, and runs ``make demo``'s program first if that has
left no Traces.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
APPLICATION = ROOT / "example_apps" / "booking_sqlalchemy"
STORE = ROOT / ".queryscope" / "demo" / "booking_sqlalchemy" / ".queryscope" / "traces.db"
ROUTE = "GET /items/7"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH = 1280
MAX_BYTES = 300_000
TIMEOUT_S = 120

PICTURES = {
    # name: (what is at the top of the picture, height, flags)
    "report.png": ("body", 1010, ()),
    "report-dark.png": ("body", 1010, ("--blink-settings=preferredColorScheme=0",)),
    "timeline.png": ("#t0-timeline", 385, ()),
}

# A page that is scrolled comes out white: so the report stands, whole, in a frame that is moved up.
FRAME = """<!doctype html><meta charset="utf-8"><body style="margin: 0; overflow: hidden">
<iframe src="report.html" style="border: 0; width: {width}px; height: 12000px"></iframe>
<script>
const frame = document.querySelector('iframe');
frame.addEventListener('load', () => {{
  const top = frame.contentDocument.querySelector('{top}').getBoundingClientRect().top;
  frame.style.marginTop = `${{-Math.max(top - 16, 0)}}px`;
}});
</script>"""


def main() -> None:
    """Take every picture."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"PATH has none of {', '.join(BROWSERS)}")
    if not STORE.exists():
        subprocess.run([sys.executable, str(ROOT / "example_apps" / "demo.py")], check=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        report = Path(folder) / "report.html"
        # From the application's folder, so that its files are shown by their short paths.
        subprocess.run(
            [sys.executable, "-m", "queryscope", "--store", str(STORE), "report",
             "--route", ROUTE, "--output", str(report)],
            cwd=APPLICATION, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        text = report.read_text(encoding="utf-8")
        if str(ROOT) in re.sub(r'title="[^"]*"', "", text):  # titles are seen under a mouse only
            raise SystemExit(f"the report shows paths below {ROOT}")
        for name, (top, height, flags) in PICTURES.items():
            page = Path(folder) / "frame.html"
            page.write_text(FRAME.format(width=WIDTH, top=top), encoding="utf-8")
            take(browser, page.as_uri(), DOCS / "images" / name, height, flags, folder)


def take(
    browser: str, address: str, picture: Path, height: int, flags: tuple[str, ...], folder: str
) -> None:
    """Take one picture of a page."""
    picture.parent.mkdir(exist_ok=True)
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--allow-file-access-from-files", "--no-first-run",
         "--disable-background-networking", "--hide-scrollbars",
         f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{height}",
         f"--screenshot={picture}", *flags, address],
        check=True, capture_output=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    size = picture.stat().st_size
    print(f"{picture.relative_to(ROOT)}: {size:,} bytes")
    if size > MAX_BYTES:
        raise SystemExit(f"{picture.name} is larger than {MAX_BYTES:,} bytes")


if __name__ == "__main__":
    main()
