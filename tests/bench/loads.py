"""The loads, one run of one of them against one server, and what every measurement needs around it."""
import argparse
import ctypes
import fcntl
import json
import os
import resource
import socket
import struct
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import report
from servers import REFERENCE, SERVERS, RunFailed, on_core, running

BUILT = Path(__file__).resolve().parents[2] / "build" / "release" / "bench"

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


def measure(options, load, server, upstream):
    """One run's figures. `upstream` is the server behind a proxy."""
    work, arguments = LOADS[load]
    server_core, load_core = options.cores
    with ExitStack() as ends:
        behind = None
        if work == "proxy":
            behind = ends.enter_context(running(upstream, "tcp", load_core))[1]
        process, where = ends.enter_context(running(server, work, server_core, behind))
        command = [str(options.bin / "load"), *arguments, f"--{'unix' if work == 'unix' else 'port'}={where}",
                   f"--server={process.pid}", f"--seconds={options.seconds}", f"--warm-up={options.warm_up}"]
        done = called(command, load_core)
    figures = figures_of(done)  # a server that ended was told before
    if load == "bulk":
        figures["mb_per_cpu_second"] = 1 / figures["server_us"]  # an operation is a byte
    return figures


def called(command, core):
    return subprocess.run(command, preexec_fn=on_core(core), capture_output=True, text=True, check=False)


def figures_of(done):
    """What the load told, if every operation of it succeeded."""
    if done.returncode != 0:
        raise RunFailed(f"the load ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    figures = json.loads(done.stdout)
    if figures["errors"] or figures.get("operations") == 0:
        raise RunFailed(f"{figures['errors']:.0f} errors in {figures.get('operations', 0):.0f} operations")
    return figures


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
    """An option's type: some of these names, with commas between them."""
    def parse(text):
        chosen = text.split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return chosen

    return parse


def two_cores(parser):
    """One for the server and one for the load."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        parser.error("two cores are needed, one for the server and one for the load")
    return cores


def require_programs(parser, folder):
    for program in ("load", SERVERS[REFERENCE].program):
        if not (folder / program).exists():
            parser.error(f"no {program} in {folder}; `./dev bench` builds it")
