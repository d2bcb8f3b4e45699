"""The CPU per request as an SVG picture: a panel for each load, a bar for each server, readable on light and dark."""
import statistics
from html import escape

from report import CPU_ROWS, IDLE_MEMORY, median, ratios
from servers import REFERENCE

COLUMNS = 3
PANEL = 330
LEFT, BAR, LINE = 48, 190, 17  # px: the names, the longest bar, a bar's height with its gap
HEAD, FOOT = 74, 46
MOST = 3.0  # a longer bar is cut off there; its figure is not

STYLE = """
  .paper { fill: #ffffff } text { fill: #1f2328; font: 12px system-ui, sans-serif }
  .title { font-size: 17px; font-weight: 600 } .load { font-weight: 600 } .note { fill: #59636e }
  .bar { fill: #b6bfc9 } .ours { fill: #0969da }
  .spread { stroke: #1f2328 } .one { stroke: #59636e; stroke-dasharray: 3 2 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } text { fill: #e6edf3 } .note { fill: #9198a1 }
    .bar { fill: #4a525c } .ours { fill: #4493f8 } .spread { stroke: #e6edf3 } .one { stroke: #9198a1 }
  }
"""


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def panel(row, bars, most, form, note, top_left):
    """`bars`: (server, its figures by round) for each bar."""
    x, y = top_left
    out = [text(x, y + 12, row.title, "load"), text(x + LEFT, y + 28, note, "note")]
    zero = x + LEFT
    for number, (server, figures) in enumerate(bars):
        at = y + 36 + number * LINE
        middle = statistics.median(figures)
        kind = "ours" if server == "actnet" else "bar"
        width, low, high = (min(v / most, 1) * BAR for v in (middle, min(figures), max(figures)))
        out += [text(zero - 6, at + 10, server, "", "end"),
                f'<rect x="{zero}" y="{at}" width="{width:.1f}" height="12" class="{kind}"/>',
                line(zero + low, at + 6, zero + high, at + 6, "spread"),
                text(zero + max(width, high) + 6, at + 10, form.format(middle) + (" »" if middle > most else ""))]
    if row.ratio:
        out.append(line(zero + BAR / most, y + 34, zero + BAR / most, y + 36 + len(bars) * LINE, "one"))
    return out


def panels(runs, servers):
    """(row, bars, what the longest bar stands for, how figures are written, what stands below the title)."""
    for row in CPU_ROWS:
        base = median(runs, row.load, REFERENCE, row.key)
        bars = [(s, found) for s in servers if s != REFERENCE and (found := ratios(runs, row.load, s, row.key))]
        if bars:
            yield row, bars, MOST, "{:.2f}", "1.00 = " + row.bare.format(base * row.scale)
    memory = runs.get(IDLE_MEMORY.load, {})
    bars = [(s, [run[IDLE_MEMORY.key] for run in memory.get(s, []) if run]) for s in servers]
    bars = [(s, figures) for s, figures in bars if figures]
    if bars:
        most = max(max(figures) for _, figures in bars) or 1
        yield IDLE_MEMORY, bars, most, "{:,.0f} B", "of the process; the kernel's not"


def svg(runs, servers, about):
    """`about`: lines for below the panels."""
    found = list(panels(runs, servers))
    height = 36 + len(servers) * LINE + 20
    width, rows = COLUMNS * PANEL + 20, -(-len(found) // COLUMNS)
    total = HEAD + rows * height + FOOT
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" width="{width}" height="{total}" '
           'role="img">',
           "<title>Server CPU per request, relative to a bare epoll loop</title>", f"<style>{STYLE}</style>",
           f'<rect width="{width}" height="{total}" class="paper"/>',
           text(20, 32, "Server CPU per request, relative to a bare epoll loop (1.00; less is better)", "title"),
           text(20, 52, "Bars: median of rounds. Thin lines: smallest to largest. Dashed: the bare loop.", "note")]
    for number, (row, bars, most, form, note) in enumerate(found):
        out += panel(row, bars, most, form, note, (20 + number % COLUMNS * PANEL, HEAD + number // COLUMNS * height))
    out += [text(20, total - FOOT + 16 * number + 14, words, "note") for number, words in enumerate(about)]
    out += ["</svg>", ""]
    return "\n".join(out)
