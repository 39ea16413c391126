"""The results as a picture: one bar for what a request of 100 queries costs with each tool."""

from __future__ import annotations

from html import escape
from typing import Any

import page

WIDTH, LEFT, RIGHT, BAR, STEP, TOP = 760, 280, 70, 18, 28, 56

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .note { font-size: 12px; fill: #59636e; }
  .ours { fill: #1a7f64; } .peer { fill: #8c959f; } .bare { stroke: #59636e; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .note { fill: #9198a1; } .bare { stroke: #9198a1; }
    .ours { fill: #3fb68b; } .peer { fill: #6e7681; }
  }
"""


def svg(result: dict[str, Any]) -> str:
    """Return the picture of one result of ``run.py`` that has peers."""
    bars = [(tool.name, tool.cpu.value) for tool in page.beside(result)]
    bars.sort(key=lambda bar: bar[1])
    top = max(value for _, value in bars)
    scale = (WIDTH - LEFT - RIGHT) / top
    height = TOP + STEP * len(bars) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(_TITLE)}</title>",
        f"<style>{_STYLE}</style>",
        f'<text x="0" y="16">{escape(_TITLE)}</text>',
        f'<text x="0" y="36" class="note">{escape(_NOTE)}</text>',
    ]
    for number, (name, value) in enumerate(bars):
        y = TOP + STEP * number
        kind = "ours" if name.startswith("queryscope") else "peer"
        lines += [
            f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            (
                f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{value * scale:.1f}" '
                f'height="{BAR}" rx="2"/>'
            ),
            f'<text x="{LEFT + value * scale + 6:.1f}" y="{y + 14}">{value:.2f}</text>',
        ]
    x = LEFT + scale
    lines += [
        (
            f'<line class="bare" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 8}" '
            'stroke-dasharray="3 3"/>'
        ),
        "</svg>",
        "",
    ]
    return "\n".join(lines)


_TITLE = "CPU time of a request of 100 queries, by that of the bare request"
_NOTE = "The dashed line is the bare request; each tool with its default settings."
