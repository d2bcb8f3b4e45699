#!/usr/bin/env python3
"""Compares echo servers and proxies on this machine and prints Markdown tables.

Every measurement starts a fresh server on one core and the load generator on another. In each round all servers run
one after the other, in turned order every second round; ratios are taken within a round, then their median.
"""
import argparse
import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import plot
import report
from servers import REFERENCE, SERVERS, RunFailed, on_core, prepared, running

# What the server does, and the load's arguments. One client waits by asking again and again, so that no wake-up of its
# own is in the figure; many would only take turns at it.
LOADS = {
    "c1": ("tcp", ["--mode=echo", "--connections=1", "--spin=1"]),
    "c50": ("tcp", ["--mode=echo", "--connections=50"]),
    "c1000": ("tcp", ["--mode=echo", "--connections=1000"]),
    "c10000": ("tcp", ["--mode=echo", "--connections=10000"]),
    "c50x16": ("tcp", ["--mode=echo", "--connections=50", "--depth=16"]),
    "16k": ("tcp", ["--mode=echo", "--connections=50", "--size=16384"]),
    "bulk": ("tcp", ["--mode=stream"]),
    "churn": ("tcp", ["--mode=churn", "--connections=32"]),
    "unix50": ("unix", ["--mode=echo", "--connections=50"]),
    "udp50": ("udp", ["--mode=udp", "--connections=50"]),
    "flood": ("udp", ["--mode=udpblast"]),
    "proxy": ("proxy", ["--mode=echo", "--connections=50"]),
    "idle": ("tcp", ["--mode=idle", "--connections=1000"]),
}


CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def enter_own_network():
    """A loopback of our own, with plain TCP: where BBR is the default, its pacing would distort the large messages, and
    others' traffic is kept out. Only root may; without, the machine's network serves."""
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    report.CONGESTION_CONTROL.write_text("reno")


def measure(options, servers, name, load):
    work, arguments = LOADS[load]
    server_core, load_core = options.cores
    with ExitStack() as ends:
        upstream = None
        if work == "proxy":
            upstream = ends.enter_context(running(servers[REFERENCE], "tcp", load_core))[1]
        server, where = ends.enter_context(running(servers[name], work, server_core, upstream))
        command = [str(options.bin / "load"), *arguments, f"--{'unix' if work == 'unix' else 'port'}={where}",
                   f"--server={server.pid}", f"--seconds={options.seconds}", f"--warm-up={options.warm_up}"]
        done = subprocess.run(command, preexec_fn=on_core(load_core), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RunFailed(f"the load ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    figures = json.loads(done.stdout)
    if figures["errors"] or figures.get("operations") == 0:
        raise RunFailed(f"{figures['errors']:.0f} errors in {figures.get('operations', 0):.0f} operations")
    if load == "bulk":
        figures["mb_per_cpu_second"] = 1 / figures["server_us"]  # an operation is a byte
    return figures


def run_all(options, servers):
    """{load: {server: [figures, or None for a failed run, per round]}} and the failures in words."""
    runs, failures = {}, []
    for number in range(options.rounds):
        for load in options.loads:
            fitting = [name for name, server in servers.items() if LOADS[load][0] in server.works]
            for name in fitting if number % 2 == 0 else reversed(fitting):
                print(f"round {number + 1} of {options.rounds}: {load}, {name}", file=sys.stderr)
                try:
                    figures = measure(options, servers, name, load)
                except RunFailed as reason:
                    figures = None
                    failures.append(f"round {number + 1}, {load}, {name}: {reason}")
                runs.setdefault(load, {}).setdefault(name, []).append(figures)
    return runs, failures


class Bystanders:
    """How many cores the rest of the machine kept busy meanwhile: what the figures were disturbed by."""

    def __init__(self):
        self.busy, self.since = self.sample(), time.monotonic()

    @staticmethod
    def sample():
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        idle = fields[3] + fields[4]
        return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK") - sum(u.ru_utime + u.ru_stime for u in used)

    def cores(self):
        return max(0.0, (self.sample() - self.busy) / (time.monotonic() - self.since))


def names(known):
    def parse(text):
        chosen = text.split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return chosen

    return parse


def parse_options():
    build = Path(__file__).resolve().parents[2] / "build" / "release" / "bench"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=names(LOADS), default=list(LOADS), help=",".join(LOADS))
    parser.add_argument("--servers", type=names(SERVERS), default=list(SERVERS), help=",".join(SERVERS))
    parser.add_argument("--rounds", type=int, help="default: 5")
    parser.add_argument("--seconds", type=float, help="measured time of a run (default: 0.5)")
    parser.add_argument("--quick", action="store_true", help="one round of 0.2 s: whether it works, not how fast it is")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the tables, into a file too")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="the CPU per request as a plot")
    parser.add_argument("--bin", type=Path, default=build, help="folder of the programs (default: %(default)s)")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (0.2 if options.quick else 0.5)
    options.warm_up = 0.1 if options.quick else 0.3
    if REFERENCE not in options.servers:
        options.servers.insert(0, REFERENCE)
    options.cores = sorted(os.sched_getaffinity(0))[:2]
    if len(options.cores) < 2:
        parser.error("two cores are needed, one for the server and one for the load")
    for program in ("load", SERVERS[REFERENCE].program):
        if not (options.bin / program).exists():
            parser.error(f"no {program} in {options.bin}; `./dev bench` builds it")
    return options


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end first
    servers = prepared(options.servers, options.bin)
    enter_own_network()
    bystanders = Bystanders()
    runs, failures = run_all(options, servers)
    rounds = f"Medians of {options.rounds} rounds" if options.rounds > 1 else "One round"
    how = (f"{rounds} of {options.seconds:g} s (smallest–largest). "
           f"Other programs kept {bystanders.cores():.1f} cores busy meanwhile.")
    text = report.markdown(runs, servers, how, failures)
    print(text, end="")
    if options.markdown:
        options.markdown.write_text(text)
    if options.svg:
        options.svg.write_text(plot.svg(runs, list(servers), [report.machine(), report.versions(servers)]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
