#!/usr/bin/env python3
"""Counts what one operation costs a server: user-space instructions (valgrind) and system calls (strace).

The client goes in lock step with the server, which thus does the same every time, however busy the machine is: the
figures repeat. Each is the difference of two runs that differ only in the number of operations, by operation.
"""
import argparse
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import commits
import report
from loads import BUILT, called, enter_own_network, figures_of, names, require_programs, two_cores
from servers import REFERENCE, RunFailed, prepared, running

LIMIT = 1.02
SERVED = [REFERENCE, *commits.OURS, "asio", "libuv"]  # the runtimes of the others work for themselves meanwhile


class Operation(NamedTuple):
    title: str
    rounds: int  # that a long run has more of than a short one
    work: str = "tcp"
    connections: int = 1
    depth: int = 1
    size: int = 64
    fresh: int = 0

    def load(self):
        return [f"--{name}={getattr(self, name)}" for name in ("connections", "depth", "size", "fresh")]


OPERATIONS = {
    "c1": Operation("TCP, 64 B, 1 connection", 500),
    "c50": Operation("TCP, 64 B, 50 connections", 40, connections=50),
    "c50x16": Operation("TCP, 64 B, 50 connections, 16 in flight", 40, connections=50, depth=16),
    "16k": Operation("TCP, 16 KiB, 50 connections", 40, connections=50, size=16384),
    "churn": Operation("TCP, connect, 64 B, close, one at a time", 80, fresh=1),
    "proxy": Operation("TCP proxy, 64 B, 50 connections", 40, work="proxy", connections=50),
}


class Cost(NamedTuple):
    """Of one operation."""
    instructions: float
    calls: dict  # how many, by name

    def all_calls(self):
        """Without futex(2): how often two threads want a lock at once is chance."""
        return sum(self.calls.values()) - self.futexes()

    def futexes(self):
        return self.calls.get("futex", 0)


# -- the two tools: how they are called, and what they wrote into their file ------------------------------------------

def callgrind(written):
    return ["valgrind", "--quiet", "--vgdb=no", "--tool=callgrind", f"--callgrind-out-file={written}"]


def instructions_in(text):
    found = re.search(r"^totals: (\d+)$", text, re.MULTILINE)
    return Counter(instructions=int(found[1])) if found else None


def strace(written):
    return ["strace", "-D", "-f", "-C", "-s0", "-o", str(written)]


def calls_in(text):
    """None until the summary at the end is there. The summary itself counts a call again that went on after a stop."""
    if not re.search(r"^-* -* .*\n.* total$", text, re.MULTILINE):
        return None
    return Counter(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)\b.*\) += (?!\?|-1 EINTR)", text, re.MULTILINE))


def content(written, parse):
    """strace writes its file after the server has ended."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if written.exists() and (found := parse(written.read_text())):
            return found
        time.sleep(0.02)
    raise RunFailed("nothing was counted")


# -- one figure ---------------------------------------------------------------------------------------------------

def count(options, server, operation, upstream, rounds, empty, tool, parse):
    """What a run came to, from the server's start to its end."""
    server_core, load_core = options.cores
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "counted"
        with ExitStack() as ends:
            command = [str(options.bin / "load"), "--mode=rounds", *operation.load(), f"--rounds={rounds}",
                       f"--empty={empty}"]
            where = None
            if operation.work == "proxy":
                process, where = ends.enter_context(running(upstream, "tcp", load_core))
                command.append(f"--upstream={process.pid}")
            process, where = ends.enter_context(running(server, operation.work, server_core, where, tool(written)))
            done = called([*command, f"--port={where}", f"--server={process.pid}"], load_core)
        figures_of(done)
        return content(written, parse)


def by_operation(options, server, operation, upstream, tool, parse):
    more = max(operation.rounds // options.shorter, 5)
    before = 20  # In both runs, for what only the first rounds do: buffers that grow, symbols that are looked up.
    short = count(options, server, operation, upstream, before, more, tool, parse)
    long = count(options, server, operation, upstream, before + more, 0, tool, parse)
    operations = more * operation.connections * operation.depth
    return {name: (long[name] - short[name]) / operations for name in long.keys() | short.keys()}


def cost(options, server, operation, upstream):
    instructions = by_operation(options, server, operation, upstream, callgrind, instructions_in)["instructions"]
    return Cost(instructions, by_operation(options, server, operation, upstream, strace, calls_in))


def costs(options, servers, upstream, where, failures):
    """{(load, server): its cost, or None after a failure}"""
    found = {}
    for load in options.loads:
        operation = OPERATIONS[load]
        for name, server in servers.items():
            if operation.work not in server.works:
                continue
            print(f"{load}, {name}{where}", file=sys.stderr, flush=True)
            try:
                found[load, name] = cost(options, server, operation, upstream)
            except RunFailed as reason:
                found[load, name] = None
                failures.append(f"{load}, {name}{where}: {reason}")
    return found


# -- the tables ---------------------------------------------------------------------------------------------------

def cells(found, load, servers, show):
    def cell(name):
        if (load, name) not in found:
            return "–"
        return show(found[load, name]) if found[load, name] else "failed"

    return [OPERATIONS[load].title, *map(cell, servers)]


def number(calls):
    return f"{calls:.4g}"


def which(calls):
    """The calls by name, the most frequent first, without the few by which two starts of a server differ."""
    least = 0.005 * sum(calls.values())
    often = sorted((call for call in calls.items() if abs(call[1]) > least), key=lambda call: (-call[1], call[0]))
    return ", ".join(f"{name} {number(times)}" for name, times in often) or "none"


def costs_table(found, loads, servers):
    out = ["Instructions in user space by operation:", "",
           *report.table(["load", *servers], [cells(found, load, servers, lambda c: f"{c.instructions:,.0f}")
                                              for load in loads]),
           "System calls by operation, without futex(2):", "",
           *report.table(["load", *servers], [cells(found, load, servers, lambda c: number(c.all_calls()))
                                              for load in loads]),
           "Which they are:", ""]
    return out + [f"- {load}, {name}: {which(known.calls)}" for (load, name), known in found.items() if known] + [""]


def ratio_lines(here, there):
    for load, name in here:
        this, that = here[load, name], there.get((load, name))
        if not this or not that:
            yield [OPERATIONS[load].title, name, "failed", *["–"] * 4, ""]
            continue
        ratio = this.instructions / that.instructions
        more_calls = (this.all_calls() > that.all_calls() * 1.01  # to wake a thread takes three futexes
                      or this.futexes() > that.futexes() + 1.5)
        marks = [f"**above {LIMIT:g}**"] * (ratio > LIMIT) + ["**more system calls**"] * more_calls
        yield [OPERATIONS[load].title, name, f"{this.instructions:,.0f}", f"{that.instructions:,.0f}", f"{ratio:.3f}",
               number(this.all_calls()), number(that.all_calls()), ", ".join(marks)]


def against_table(here, there):
    head = ["load", "server", "instructions: this", "that", "ratio", "system calls: this", "that", ""]
    lines = report.table(head, ratio_lines(here, there))
    for (load, name), this in here.items():
        that = there.get((load, name))
        if this and that and which(this.calls) != which(that.calls):
            lines.append(f"- {load}, {name}: system calls {which(this.calls)}; that commit's {which(that.calls)}")
    return lines + [""] * (lines[-1] != "")


# -- the program --------------------------------------------------------------------------------------------------

def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="COMMIT", help="count another commit's servers too; only actnet's")
    parser.add_argument("--loads", type=names(OPERATIONS), default=list(OPERATIONS), help=",".join(OPERATIONS))
    parser.add_argument("--servers", type=names(SERVED), help=",".join(SERVED))
    parser.add_argument("--quick", action="store_true", help="a tenth of the operations: whether it works")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the tables, into a file too")
    parser.add_argument("--bin", type=Path, default=BUILT, help="folder of the programs (default: %(default)s)")
    options = parser.parse_args()
    possible = commits.OURS if options.against else SERVED
    options.servers = [name for name in options.servers or possible if name in possible]
    if not options.servers:
        parser.error(f"only {' and '.join(possible)} can be held against another commit")
    options.shorter = 10 if options.quick else 1
    options.cores = two_cores(parser)
    require_programs(parser, options.bin)
    for tool in ("valgrind", "strace"):
        if not shutil.which(tool):
            parser.error(f"there is no {tool}; `./dev bench --instructions` installs it")
    return options


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end first
    try:
        other = commits.built(options.against) if options.against else None
    except commits.Unbuildable as reason:
        print(reason, file=sys.stderr)
        return 1
    servers = prepared(options.servers, options.bin)
    upstream = prepared([REFERENCE], options.bin)[REFERENCE]
    enter_own_network()
    failures = []
    out = ["## Instructions and system calls by operation", ""]
    if options.quick:
        out += ["Of too few operations to compare them: only whether it works.", ""]
    if other:
        here = costs(options, servers, upstream, ", this", failures)
        there = costs(options, prepared(options.servers, other.bin), upstream, ", that", failures)
        out += [f"- this: {commits.this_tree()}", f"- that: {other.title}", "", *against_table(here, there)]
    else:
        out += [f"{report.versions(servers)}.", "",
                *costs_table(costs(options, servers, upstream, "", failures), options.loads, list(servers))]
    out += ["Failed runs:", "", *(f"- {failure}" for failure in failures)] if failures else ["Every run succeeded."]
    text = "\n".join(out) + "\n"
    print(text, end="")
    if options.markdown:
        options.markdown.write_text(text)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
