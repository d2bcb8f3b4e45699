#!/usr/bin/env python3
"""Holds this tree's servers against those of another commit, and prints Markdown.

Runs are taken in pairs, one of this tree and one of the other commit right after each other, in turned order every
second pair: what the machine does meanwhile meets both. What counts is the median of the pairs' ratios.
"""
import argparse
import signal
import statistics
import sys
from pathlib import Path

import commits
import report
from loads import BUILT, LOADS, Bystanders, enter_own_network, measure, names, require_programs, two_cores
from servers import REFERENCE, RunFailed, prepared

LIMIT = 1.05
TITLES = {row.load: row.title for row in report.CPU_ROWS}


def run_pairs(options, sides, upstream):
    """{(load, server): [this tree's CPU per request by the other's, per pair]}, and the failures in words.

    `sides` is what to call a side, and its servers: this tree's first."""
    ratios, failures = {}, []
    for number in range(options.pairs):
        for load in options.loads:
            for name in options.servers:
                if not all(name in servers and LOADS[load][0] in servers[name].works for servers in sides.values()):
                    continue
                print(f"pair {number + 1} of {options.pairs}: {load}, {name}", file=sys.stderr)
                found = {}
                for side in sides if number % 2 == 0 else reversed(sides):
                    try:
                        found[side] = measure(options, load, sides[side][name], upstream)["server_us"]
                    except RunFailed as reason:
                        failures.append(f"pair {number + 1}, {load}, {name}, {side}: {reason}")
                pairs = ratios.setdefault((load, name), [])
                if len(found) == 2:
                    this, that = (found[side] for side in sides)
                    pairs.append(this / that)
    return ratios, failures


def line(load, name, found):
    if not found:
        return [TITLES[load], name, "failed", *["–"] * 4, "0", ""]
    first, middle, third = statistics.quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
    figures = [middle, min(found), first, third, max(found)]
    return [TITLES[load], name, *(f"{figure:.3f}" for figure in figures), str(len(found)),
            f"**above {LIMIT:g}**" if middle > LIMIT else ""]


def markdown(ratios, failures, this, that, how):
    head = ["load", "server", "median", "smallest", "quarter", "three quarters", "largest", "pairs", ""]
    return "\n".join([
        "## CPU per request, this tree's by the other commit's", "", f"{report.machine()}.", "",
        f"- this: {this}", f"- that: {that}", "", how, "",
        *report.table(head, [line(load, name, found) for (load, name), found in ratios.items()]),
        *(["Failed runs, whose pairs do not count:", "", *(f"- {failure}" for failure in failures)]
          if failures else ["Every run succeeded."])]) + "\n"


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    loads = {load: LOADS[load] for load in TITLES}
    parser.add_argument("--against", required=True, metavar="COMMIT", help="the other commit, by any name git knows")
    parser.add_argument("--loads", type=names(loads), default=list(loads), help=",".join(loads))
    parser.add_argument("--servers", type=names(commits.OURS), default=commits.OURS, help=",".join(commits.OURS))
    parser.add_argument("--pairs", type=int, help="default: 15")
    parser.add_argument("--seconds", type=float, help="measured time of a run (default: 0.5)")
    parser.add_argument("--quick", action="store_true", help="one pair of 0.2 s: whether it works, not how fast it is")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the table, into a file too")
    parser.add_argument("--bin", type=Path, default=BUILT, help="folder of the programs (default: %(default)s)")
    options = parser.parse_args()
    options.pairs = (1 if options.quick else 15) if options.pairs is None else options.pairs
    if options.pairs < 1:
        parser.error("--pairs: at least 1")
    options.seconds = options.seconds or (0.2 if options.quick else 0.5)
    options.warm_up = 0.1 if options.quick else 0.3
    options.cores = two_cores(parser)
    require_programs(parser, options.bin)
    return options


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end first
    try:
        other = commits.built(options.against)
    except commits.Unbuildable as reason:
        print(reason, file=sys.stderr)
        return 1
    sides = {"this": prepared(options.servers, options.bin), "that": prepared(options.servers, other.bin)}
    upstream = prepared([REFERENCE], options.bin)[REFERENCE]
    enter_own_network()
    bystanders = Bystanders()
    ratios, failures = run_pairs(options, sides, upstream)
    if not ratios:
        print("none of these servers can do any of these loads on both sides", file=sys.stderr)
        return 1
    how = (f"{options.pairs} {'pair' if options.pairs == 1 else 'pairs'} of {options.seconds:g} s. "
           f"Other programs kept {bystanders.cores():.1f} cores busy meanwhile.")
    text = markdown(ratios, failures, commits.this_tree(), other.title, how)
    print(text, end="")
    if options.markdown:
        options.markdown.write_text(text)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
