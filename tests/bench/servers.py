"""The servers under test: what each can do, how it is made ready, called, started and ended.

Every server is called as `PROGRAM WORK [WHERE]`, works on one thread and says `listening on ENDPOINT` on stderr.
"""
import copy
import ctypes
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
REFERENCE = "bare"


class RunFailed(Exception):
    pass


class Missing(Exception):
    pass


class Server:
    """A program that the target `bench` built, if its library was there."""

    def __init__(self, program, package, works=("tcp", "udp", "unix", "proxy")):
        self.program, self.package, self.works = program, package, works
        self.environment = {}

    def prepare(self, folder):
        """Sets `command` and `version`."""
        self.command = [str(folder / self.program)]
        if not os.access(self.command[0], os.X_OK):
            raise Missing(f"its program was not built, for want of {self.package}")
        self.version = output_of(self.command + ["version"])


class GoServer(Server):
    def prepare(self, folder):
        require("go", self.package)
        made, source = folder / "go_echo", HERE / "go_echo.go"
        environment = {"GOCACHE": str(folder / "go_cache"), "GO111MODULE": "off", "GOTOOLCHAIN": "local",
                       "CGO_ENABLED": "0"}
        if is_older(made, source):
            output_of(["go", "build", "-o", str(made), str(source)], environment)
        self.command, self.environment = [str(made)], {"GOMAXPROCS": "1"}
        self.version = " ".join(output_of(["go", "version"], environment).split()[2:3]).replace("go", "Go ")


class ErlangServer(Server):
    def prepare(self, folder):
        require("erlc", self.package)
        source = HERE / "erlang_echo.erl"
        if is_older(folder / "erlang_echo.beam", source):
            output_of(["erlc", "-o", str(folder), str(source)])
        # One scheduler of each kind, and none that spins while it waits: that would count as work.
        self.command = ["erl", "+S", "1:1", "+SDcpu", "1:1", "+SDio", "1", "+sbwt", "none", "+sbwtdcpu", "none",
                        "+sbwtdio", "none", "-noinput", "-pa", str(folder), "-run", "erlang_echo", "main"]
        self.version = "Erlang/OTP " + output_of(
            ["erl", "-noinput", "-eval", "io:put_chars(erlang:system_info(otp_release)), halt()."])


class NodeServer(Server):
    def prepare(self, folder):
        require("node", self.package)
        self.command = ["node", str(HERE / "node_echo.js")]
        self.version = output_of(["node", "--version"]).replace("v", "Node ")


SERVERS = {
    REFERENCE: Server("bare_epoll", "g++"),
    "actnet": Server("actnet_echo", "libcaf-dev"),
    "coroutine": Server("coroutine_echo", "libcaf-dev", ("tcp", "unix")),
    "asio": Server("asio_callbacks", "libasio-dev"),
    "libuv": Server("libuv_echo", "libuv1-dev"),
    "caf": Server("caf_broker", "libcaf-dev", ("tcp", "udp")),
    "go": GoServer("go_echo", "golang-go"),
    "erlang": ErlangServer("erlang_echo", "erlang-base"),
    "node": NodeServer("node_echo", "nodejs"),
}


def require(tool, package):
    if not shutil.which(tool):
        raise Missing(f"there is no `{tool}`, of {package}")


def is_older(made, source):
    return not made.exists() or made.stat().st_mtime < source.stat().st_mtime


def output_of(command, environment=None):
    done = subprocess.run(command, env={**os.environ, **(environment or {})}, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=300, check=False)
    if done.returncode != 0:
        raise Missing(f"`{Path(command[0]).name}` failed: {(done.stderr.strip() or done.stdout.strip())[-300:]}")
    return done.stdout.strip()


PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def on_core(core):
    """What a child does before it becomes another program; it does not outlive us, however we end."""
    def prepare():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.sched_setaffinity(0, {core})
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    return prepare


def last_words(said):
    return said.read_text(errors="replace").strip()[-300:]


def wait_for_line(process, said, patience):
    """Where the server listens, as the file `said` tells."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and process.poll() is None:
        for line in said.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith("listening on ") and line.endswith("\n"):
                return line.strip().rsplit(":", 1)[1]
        time.sleep(0.01)
    raise RunFailed(f"the server did not start (exit {process.poll()}): {last_words(said)}")


@contextmanager
def running(server, work, core, upstream=None, tool=()):
    """Yields the process and where it listens (a port, or a path) once it does; kills it at the end.

    `tool` is the command of a program that runs the server and keeps its process number, such as valgrind. It writes
    what it found when the server ends, so the server is asked to end then, and is slow."""
    with tempfile.TemporaryDirectory() as folder:
        where = {"unix": [folder + "/socket"], "proxy": [str(upstream)]}.get(work, [])
        said = Path(folder) / "said"
        with said.open("wb") as stderr:
            process = subprocess.Popen([*tool, *server.command, work, *where], preexec_fn=on_core(core),
                                       env={**os.environ, **server.environment}, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=stderr)
        try:
            yield process, wait_for_line(process, said, 120 if tool else 10)
            if process.poll() is not None:
                raise RunFailed(f"the server ended (exit {process.returncode}): {last_words(said)}")
            if tool:
                end_in_good_order(process)
        finally:
            process.kill()
            process.wait()


def end_in_good_order(process):
    process.terminate()
    try:
        process.wait(timeout=120)
    except subprocess.TimeoutExpired as reason:
        raise RunFailed("the server did not end when it was asked to") from reason


def prepared(names, folder):
    """The servers of these names that can run here; says in a line why another cannot."""
    usable = {}
    for name in names:
        try:
            usable[name] = copy.copy(SERVERS[name])
            usable[name].prepare(folder)
        except Missing as reason:
            del usable[name]
            print(f"{name} is left out: {reason}; `./dev bench --install` installs it", flush=True)
    return usable
