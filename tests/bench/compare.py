#!/usr/bin/env python3
"""Compares echo servers on this machine and prints a Markdown table.

Every measurement starts a fresh server on one core and the load generator on another. In each round all servers run
one after the other, in turned order every second round; ratios are taken within a round, then their median.
"""
import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

REFERENCE = "bare"
NOT_BUILT = os.EX_UNAVAILABLE  # a peer whose library was missing ends with it

# Each server is called as `program PORT`, for UDP as `program PORT udp`.
PEERS = {
    REFERENCE: ("bare_epoll", {"tcp", "udp"}),
    "actnet": ("actnet_echo", {"tcp"}),
    "asio": ("asio_callbacks", {"tcp", "udp"}),
    "caf": ("caf_broker", {"tcp", "udp"}),
}

# Title, protocol, the load's arguments. One client waits by asking again and again, so that no wake-up of its own is
# in the figure; many would only take turns at it.
SCENARIOS = {
    "c1": ("64 B, 1 connection", "tcp", ["--mode=echo", "--connections=1", "--spin=1"]),
    "c50": ("64 B, 50 connections", "tcp", ["--mode=echo", "--connections=50"]),
    "c1000": ("64 B, 1,000 connections", "tcp", ["--mode=echo", "--connections=1000"]),
    "c50x16": ("64 B, 50 × 16 deep", "tcp", ["--mode=echo", "--connections=50", "--depth=16"]),
    "16k": ("16 KiB, 50 connections", "tcp", ["--mode=echo", "--connections=50", "--size=16384"]),
    "churn": ("connect, 64 B, close; 32 at a time", "tcp", ["--mode=churn", "--connections=32"]),
    "idle": ("1,000 idle connections", "tcp", ["--mode=idle", "--connections=1000"]),
    "stream": ("stream, 1 connection (an operation is a byte)", "tcp", ["--mode=stream"]),
    "udp50": ("UDP, 64 B, 50 clients", "udp", ["--mode=udp", "--connections=50"]),
    "udpblast": ("UDP flood, 64 B", "udp", ["--mode=udpblast"]),
}
UNASKED = ["c1", "c50", "c1000", "c50x16", "16k", "churn", "idle"]


class RunFailed(Exception):
    pass


class NotBuilt(Exception):
    pass


def on_core(core):
    def prepare():
        os.sched_setaffinity(0, {core})
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    return prepare


def free_port(protocol):
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_bound(protocol, port):
    """Read from the kernel's table: a trial connection would be one that the server remembers."""
    state = "0A" if protocol == "tcp" else "07"
    return f"0100007F:{port:04X} 00000000:0000 {state}" in Path(f"/proc/net/{protocol}").read_text()


@contextmanager
def running_server(program, protocol, core):
    """Yields process and port of a server that listens; kills it at the end."""
    port = free_port(protocol)
    command = [str(program), str(port)] + (["udp"] if protocol == "udp" else [])
    with tempfile.TemporaryFile() as said:
        server = subprocess.Popen(command, preexec_fn=on_core(core), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=said)

        def last_words():
            said.seek(0)
            return said.read().decode(errors="replace").strip()[-300:]

        try:
            deadline = time.monotonic() + 10
            while not is_bound(protocol, port):
                if server.poll() == NOT_BUILT:
                    raise NotBuilt(last_words())
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RunFailed(f"the server did not start (exit {server.poll()}): {last_words()}")
                time.sleep(0.01)
            yield server, port
            if server.poll() is not None:
                raise RunFailed(f"the server ended (exit {server.poll()}): {last_words()}")
        finally:
            server.kill()
            server.wait()


def measure(options, peer, scenario):
    program, (_, protocol, arguments) = PEERS[peer][0], SCENARIOS[scenario]
    with running_server(options.bin / program, protocol, options.cores[0]) as (server, port):
        command = [str(options.bin / "load"), *arguments, f"--port={port}", f"--server={server.pid}",
                   f"--seconds={options.seconds}"]
        load = subprocess.run(command, preexec_fn=on_core(options.cores[1]), capture_output=True, text=True,
                              check=False)
    if load.returncode != 0:
        raise RunFailed(f"the load ended with {load.returncode}: {load.stderr.strip()[-300:]}")
    figures = json.loads(load.stdout)
    if figures["errors"] or figures.get("operations") == 0:
        raise RunFailed(f"{figures['errors']} errors in {figures.get('operations', 0)} operations")
    return figures


def usable_peers(options):
    """Leaves out, with a word, what is not built. Other failures to start show up as failed runs."""
    usable = []
    for peer in options.peers:
        program = options.bin / PEERS[peer][0]
        try:
            if not program.exists():
                raise NotBuilt(f"no {program.name} in {options.bin}")
            with running_server(program, "tcp", options.cores[0]):
                pass
        except NotBuilt as reason:
            print(f"{peer} is left out: {reason}")
            continue
        except RunFailed:
            pass
        usable.append(peer)
    return usable


def run_all(options, peers):
    """{scenario: {peer: [figures, or None for a failed run, per round]}} and the failures in words."""
    runs, failures = {}, []
    for number in range(options.rounds):
        for scenario in options.scenarios:
            fitting = [peer for peer in peers if SCENARIOS[scenario][1] in PEERS[peer][1]]
            for peer in fitting if number % 2 == 0 else reversed(fitting):
                print(f"round {number + 1} of {options.rounds}: {scenario}, {peer}", file=sys.stderr)
                try:
                    figures = measure(options, peer, scenario)
                except RunFailed as reason:
                    figures = None
                    failures.append(f"round {number + 1}, {scenario}, {peer}: {reason}")
                runs.setdefault(scenario, {}).setdefault(peer, []).append(figures)
    return runs, failures


def median(runs, key):
    return statistics.median(run[key] for run in runs if run)


def ratio(runs, reference, key):
    """Median and spread of the ratios of the rounds in which both runs succeeded."""
    ratios = [run[key] / bare[key] for run, bare in zip(runs, reference) if run and bare]
    if not ratios:
        return "no pair"
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def rows(by_peer, cells):
    """A line per peer: its name, its cells, how many rounds succeeded."""
    for peer, runs in by_peer.items():
        good = sum(run is not None for run in runs)
        yield [peer, *(cells(runs) if good else ["failed"]), f"{good}/{len(runs)}"]


def print_table(title, head, lines):
    print(f"\n**{title}**\n")
    print(f"| {' | '.join(head)} |")
    print(f"|---|{'--:|' * (len(head) - 1)}")
    for line in lines:
        print(f"| {' | '.join(line[:-1] + [''] * (len(head) - len(line)) + line[-1:])} |")


def print_speed(title, by_peer):
    reference = by_peer[REFERENCE]

    def cells(runs):
        latency = f"{median(runs, 'p99_us'):.0f}" if all("p99_us" in run for run in runs if run) else "–"
        return [f"{median(runs, 'per_second'):,.0f}", ratio(runs, reference, "per_second"),
                f"{median(runs, 'server_us'):.3g}", ratio(runs, reference, "server_us"), latency]

    print_table(title, ["server", "requests/s", "to bare", "CPU µs/request", "to bare", "p99 µs", "rounds"],
                rows(by_peer, cells))


def print_idle(title, by_peer):
    def cells(runs):
        return [f"{median(runs, 'pss_bytes'):,.0f}", f"{median(runs, 'idle_cpu_us'):,.0f}",
                f"{median(runs, 'idle_switches'):,.0f}"]

    print_table(title, ["server", "bytes/connection", "CPU µs in a second", "wake-ups in a second", "rounds"],
                rows(by_peer, cells))


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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scenarios", type=names(SCENARIOS), default=UNASKED, help=",".join(SCENARIOS))
    parser.add_argument("--peers", type=names(PEERS), default=list(PEERS), help=",".join(PEERS))
    parser.add_argument("--seconds", type=float, default=1, help="measured time of a run, after 0.3 s of warm-up")
    parser.add_argument("--bin", type=Path, default=build, help="folder of the programs (default: %(default)s)")
    options = parser.parse_args()
    if REFERENCE not in options.peers:
        options.peers.insert(0, REFERENCE)
    options.cores = sorted(os.sched_getaffinity(0))[:2]
    if len(options.cores) < 2:
        parser.error("two cores are needed, one for the server and one for the load")
    for program in ("load", PEERS[REFERENCE][0]):
        if not (options.bin / program).exists():
            parser.error(f"no {program} in {options.bin}; build the benchmarks, or name their folder with --bin")
    return options


def main():
    options = parse_options()
    runs, failures = run_all(options, usable_peers(options))
    for scenario, by_peer in runs.items():
        (print_idle if scenario == "idle" else print_speed)(SCENARIOS[scenario][0], by_peer)
    print("\nEvery run succeeded." if not failures else "\nFailed runs:\n")
    for failure in failures:
        print(f"- {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
