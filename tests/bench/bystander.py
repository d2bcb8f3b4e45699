#!/usr/bin/env python3
"""How long others wait beside a peer that sends much of what costs little, and prints Markdown.

One loop serves a flood and a bystander, who sends a line every few milliseconds and waits for its echo. A flood comes
in frames, or, to the same server without frames, as the same bytes at the same pace. What counts is the ratio of the
two: what the frames, and not the bytes, add to the bystander's wait.
"""
import argparse
import multiprocessing
import os
import signal
import socket
import statistics
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import report
from loads import BUILT, enter_own_network, names, two_cores
from servers import RunFailed, Server, running

LIMIT = 3
PACE = 2_000_000  # bytes a second, more than a loop can answer one byte at a time
PAUSE = 0.003     # between two echoes of the bystander


class Flood(NamedTuple):
    title: str
    unit: bytes
    format: str = "line"
    reads: bool = True


FLOODS = {
    "feeds": Flood("line feeds, answers read", b"\n"),
    "feeds-unread": Flood("line feeds, answers never read", b"\n", reads=False),
    "short": Flood("lines of one byte, answers read", b"x\n"),
    "packages": Flood("empty packages, answers read", b"\0\0", "pkg2"),
    "packages-unread": Flood("empty packages, answers never read", b"\0\0", "pkg2", reads=False),
}


class EchoServer(Server):
    """Our `echo_server`, which is called otherwise than the servers that are compared."""

    def __init__(self, program, arguments):
        self.command, self.environment = [str(program), "--loops=1", *arguments], {}


def send(port, flood):
    to = socket.create_connection(("127.0.0.1", port))
    to.setblocking(False)
    chunk = flood.unit * (8192 // len(flood.unit))
    left, began, sent = b"", time.monotonic(), 0
    while True:
        if flood.reads:
            try:
                while to.recv(1 << 20):
                    pass
            except BlockingIOError:
                pass
        if sent < (time.monotonic() - began) * PACE:
            try:
                left = left or chunk
                count = to.send(left)
                sent, left = sent + count, left[count:]
                continue
            except BlockingIOError:
                began = time.monotonic() - sent / PACE  # it is not to catch up
        time.sleep(0.001)


def flooding(port, flood, core):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.sched_setaffinity(0, {core})
    try:
        send(port, flood)
    except OSError:
        pass  # given up by the server: from then on the bystander is alone


@contextmanager
def beside(port, flood, core):
    process = multiprocessing.Process(target=flooding, args=(port, flood, core), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def waits(port, message, seconds):
    """Of a bystander's echoes, in seconds."""
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.settimeout(10)
        found, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            began, left = time.monotonic(), len(message)
            peer.sendall(message)
            while left > 0:
                got = len(peer.recv(left))
                if got == 0:
                    raise RunFailed("the bystander was cut off")
                left -= got
            found.append(time.monotonic() - began)
            time.sleep(PAUSE)
        return found


def p99(found):
    return statistics.quantiles(found, n=100, method="inclusive")[98]


def measured(options, flood, framed):
    server_core, load_core = options.cores
    arguments = [f"--frame={flood.format}"] if framed else []
    message = b"\0\2hi" if framed and flood.format == "pkg2" else b"hi\n"
    server = EchoServer(options.bin.parent / "apps" / "echo_server", arguments)
    with running(server, "127.0.0.1:0", server_core) as (_, where):
        with beside(int(where), flood, load_core):
            time.sleep(0.3)
            return p99(waits(int(where), message, options.seconds))


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--floods", type=names(FLOODS), default=list(FLOODS), help=",".join(FLOODS))
    parser.add_argument("--pairs", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=2, help="measured time of a run (default: %(default)s)")
    parser.add_argument("--bin", type=Path, default=BUILT, help="folder of the benchmarks (default: %(default)s)")
    options = parser.parse_args()
    options.cores = two_cores(parser)
    return options


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end first
    enter_own_network()
    rows, failures = [], []
    for name in options.floods:
        framed, plain = [], []
        for number in range(options.pairs):
            print(f"pair {number + 1} of {options.pairs}: {name}", file=sys.stderr)
            try:
                for into in (framed, plain) if number % 2 == 0 else (plain, framed):
                    into.append(measured(options, FLOODS[name], into is framed))
            except (RunFailed, OSError) as reason:
                failures.append(f"pair {number + 1}, {name}: {reason}")
        if framed and plain:
            ratio = statistics.median(framed) / statistics.median(plain)
            rows.append([FLOODS[name].title, f"{statistics.median(plain) * 1e3:.2f} ms",
                         f"{statistics.median(framed) * 1e3:.2f} ms", f"{ratio:.2f}",
                         f"**above {LIMIT}**" if ratio > LIMIT else ""])
    head = ["beside", "p99, the bytes alone", "p99, in frames", "ratio", ""]
    print("\n".join(["## The wait of a bystander", "", f"{report.machine()}.", "", *report.table(head, rows),
                     *["Failed runs:", "", *(f"- {failure}" for failure in failures)][:(None if failures else 0)]]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
