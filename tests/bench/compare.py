#!/usr/bin/env python3
"""Compares echo servers and proxies on this machine and prints Markdown tables.

Every measurement starts a fresh server on one core and the load generator on another. In each round all servers run
one after the other, in turned order every second round; ratios are taken within a round, then their median.
"""
import argparse
import signal
import sys
from pathlib import Path

import plot
import report
from loads import BUILT, LOADS, Bystanders, enter_own_network, measure, names, require_programs, two_cores
from servers import REFERENCE, SERVERS, RunFailed, prepared


def run_all(options, servers):
    """{load: {server: [figures, or None for a failed run, per round]}} and the failures in words."""
    runs, failures = {}, []
    for number in range(options.rounds):
        for load in options.loads:
            fitting = [name for name, server in servers.items() if LOADS[load][0] in server.works]
            for name in fitting if number % 2 == 0 else reversed(fitting):
                print(f"round {number + 1} of {options.rounds}: {load}, {name}", file=sys.stderr)
                try:
                    figures = measure(options, load, servers[name], servers[REFERENCE])
                except RunFailed as reason:
                    figures = None
                    failures.append(f"round {number + 1}, {load}, {name}: {reason}")
                runs.setdefault(load, {}).setdefault(name, []).append(figures)
    return runs, failures


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=names(LOADS), default=list(LOADS), help=",".join(LOADS))
    parser.add_argument("--servers", type=names(SERVERS), default=list(SERVERS), help=",".join(SERVERS))
    parser.add_argument("--rounds", type=int, help="default: 5")
    parser.add_argument("--seconds", type=float, help="measured time of a run (default: 0.5)")
    parser.add_argument("--quick", action="store_true", help="one round of 0.2 s: whether it works, not how fast it is")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the tables, into a file too")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="the CPU per request as a plot")
    parser.add_argument("--bin", type=Path, default=BUILT, help="folder of the programs (default: %(default)s)")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (0.2 if options.quick else 0.5)
    options.warm_up = 0.1 if options.quick else 0.3
    if REFERENCE not in options.servers:
        options.servers.insert(0, REFERENCE)
    options.cores = two_cores(parser)
    require_programs(parser, options.bin)
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
