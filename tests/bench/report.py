"""What the runs come to: medians of ratios, the Markdown tables, and which targets are met.

`runs` is {load: {server: [figures, or None for a failed run, per round]}}, as compare.py makes it.
"""
import os
import platform
import re
import statistics
from pathlib import Path
from typing import NamedTuple

from servers import REFERENCE

CONGESTION_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")


class Row(NamedTuple):
    load: str
    title: str
    key: str
    bare: str = "{:.2f} µs"  # how the reference's own figure is written
    scale: float = 1
    ratio: bool = True


# CPU per request first: what the plot shows too.
CPU_ROWS = [
    Row("c1", "TCP, 64 B, 1 connection", "server_us"),
    Row("c50", "TCP, 64 B, 50 connections", "server_us"),
    Row("c1000", "TCP, 64 B, 1,000 connections", "server_us"),
    Row("c10000", "TCP, 64 B, 10,000 connections", "server_us"),
    Row("c50x16", "TCP, 64 B, 50 connections, 16 in flight", "server_us"),
    Row("16k", "TCP, 16 KiB, 50 connections", "server_us"),
    Row("bulk", "TCP, endless stream, by MB", "server_us", "{:.0f} µs/MB", 1e6),
    Row("churn", "TCP, connect, 64 B, close", "server_us"),
    Row("unix50", "Unix stream, 64 B, 50 connections", "server_us"),
    Row("udp50", "UDP, 64 B, 50 peers", "server_us"),
    Row("flood", "UDP flood, 64 B, by answer", "server_us"),
    Row("proxy", "TCP proxy, 64 B, 50 connections", "server_us"),
]
IDLE_MEMORY = Row("idle", "1,000 idle connections: bytes each", "memory_bytes", ratio=False)
OTHER_ROWS = [
    Row("bulk", "TCP, endless stream: MB per CPU second", "mb_per_cpu_second", ratio=False),
    Row("flood", "UDP flood: answers per second", "per_second", "{:,.0f}"),
    Row("flood", "UDP flood: memory grows by KiB", "rss_growth_bytes", scale=1 / 1024, ratio=False),
    IDLE_MEMORY,
    Row("idle", "1,000 idle: CPU µs per second", "idle_cpu_us", ratio=False),
    Row("idle", "1,000 idle: wake-ups per second", "idle_switches", ratio=False),
]


def median(runs, load, server, key):
    """None: no run of it succeeded, or knows this figure."""
    values = [run[key] for run in runs.get(load, {}).get(server, []) if run and key in run]
    return statistics.median(values) if values else None


def ratios(runs, load, server, key, base_load=None, base_server=REFERENCE):
    """By round, of those in which both runs succeeded."""
    pairs = zip(runs.get(load, {}).get(server, []), runs.get(base_load or load, {}).get(base_server, []))
    return [run[key] / base[key] for run, base in pairs if run and base]


def cell(runs, row, server):
    if server not in runs[row.load]:
        return "–"
    middle = median(runs, row.load, server, row.key)
    if middle is None:
        return "failed"
    if not row.ratio:
        return f"{middle * row.scale:,.0f}"
    if server == REFERENCE:
        return row.bare.format(middle * row.scale)
    found = ratios(runs, row.load, server, row.key)
    if not found:
        return "no pair"
    spread = f" ({min(found):.2f}–{max(found):.2f})" if len(found) > 1 else ""
    return f"{statistics.median(found):.2f}{spread}"


def table(head, lines):
    return [f"| {' | '.join(head)} |", f"|---|{'--:|' * (len(head) - 1)}",
            *(f"| {' | '.join(line)} |" for line in lines), ""]


def plain_table(runs, servers, title, key):
    """The figures themselves, of the loads that consist of requests."""
    lines = []
    for row in CPU_ROWS:
        values = [median(runs, row.load, server, key) for server in servers]
        if row.load != "bulk" and any(value is not None for value in values):
            lines.append([row.title, *("–" if value is None else f"{value:,.0f}" for value in values)])
    return [f"{title}:", "", *table(["load", *servers], lines)] if lines else []


def machine():
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    congestion = CONGESTION_CONTROL.read_text().strip()
    return (f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, "
            f"Linux {platform.release()}, TCP {congestion}")


def versions(servers):
    return ", ".join(server.version for server in servers.values())


class Target(NamedTuple):
    text: str
    figures: list  # of which the median counts
    limit: float
    at_least: bool = False


def targets(runs):
    """What actnet is to reach, as far as it was measured."""
    def plain(load, key):
        return [run[key] for run in runs.get(load, {}).get("actnet", []) if run]

    found = [
        Target("TCP at 50 connections, CPU to bare", ratios(runs, "c50", "actnet", "server_us"), 1.12),
        Target("TCP at 1,000 connections, CPU to bare", ratios(runs, "c1000", "actnet", "server_us"), 1.20),
        Target("Unix streams at 50 connections, CPU to bare", ratios(runs, "unix50", "actnet", "server_us"), 1.12),
        *(Target(f"{name}, CPU in a coroutine to that by messages",
                 ratios(runs, load, "coroutine", "server_us", load, "actnet"), 1.2)
          for load, name in [("c50", "TCP at 50 connections"), ("c1000", "TCP at 1,000 connections"),
                             ("unix50", "Unix streams at 50 connections")]),
        Target("UDP at 50 peers, CPU to bare", ratios(runs, "udp50", "actnet", "server_us"), 1.15),
        Target("a proxied request, CPU to actnet's own echo at 50 connections",
               ratios(runs, "proxy", "actnet", "server_us", "c50", "actnet"), 2.3),
        Target("UDP flood, answers per second to bare", ratios(runs, "flood", "actnet", "per_second"), 0.9, True),
        Target("UDP flood, memory grows by MiB", [b / 2**20 for b in plain("flood", "rss_growth_bytes")], 8),
        Target("memory of an idle connection, KiB", [b / 1024 for b in plain("idle", "memory_bytes")], 3),
        Target("1,000 idle connections, wake-ups per second", plain("idle", "idle_switches"), 0),
    ]
    return [target for target in found if target.figures]


def target_line(target):
    value = statistics.median(target.figures)
    met = value >= target.limit if target.at_least else value <= target.limit
    return (f"- {'met' if met else '**missed**'}: {target.text} "
            f"{value:.2f}, wanted {'≥' if target.at_least else '≤'} {target.limit:g}")


def markdown(runs, servers, how, failures):
    here = list(servers)
    rows = [row for row in CPU_ROWS + OTHER_ROWS if row.load in runs]
    out = ["## Echo servers and proxies compared", "", f"{machine()}.", "",
           f"{versions(servers)}.", "", how, "",
           "The server's CPU per request: `bare` in µs, the others as a ratio to it. Rows that say what they count "
           "are in that unit.", ""]
    out += table(["load", *here], [[row.title, *(cell(runs, row, server) for server in here)] for row in rows])
    out += plain_table(runs, here, "Requests per second", "per_second")
    out += plain_table(runs, here, "99 % answered within µs", "p99_us")
    wanted = targets(runs)
    if wanted:
        out += ["Targets:", "", *map(target_line, wanted), ""]
    out += ["Failed runs:", "", *(f"- {failure}" for failure in failures)] if failures else ["Every run succeeded."]
    return "\n".join(out) + "\n"
