"""Another commit of this repository, with benchmarks of its own, to hold this tree against.

It is checked out and built once, below build/against, by its own `dev`: that knows which packages and options it needs.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
OURS = ["actnet", "coroutine"]


class Commit(NamedTuple):
    title: str  # abbreviated hash and subject
    bin: Path   # folder of its programs


class Unbuildable(Exception):
    pass


def git(*arguments):
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)


def this_tree():
    found = git("log", "-1", "--format=%h %s")
    changed = git("status", "--porcelain", "--untracked-files=no").stdout.strip()
    return (found.stdout.strip() or "not a commit") + (", with changes" if changed else "")


def built(name):
    """The commit of this name, built. Ends the program with 2 if there is none."""
    found = git("rev-parse", "--verify", "--quiet", name + "^{commit}")
    if found.returncode != 0:
        print(f"there is no commit '{name}' in this repository {found.stderr.strip()}".rstrip(), file=sys.stderr)
        sys.exit(2)
    commit = found.stdout.strip()
    tree = ROOT / "build" / "against" / commit
    if not tree.exists():
        check_out(commit, tree)
    # Any call of its benchmarks builds them first; this one then only prints its help.
    print(f"building {commit[:12]} in {tree.relative_to(ROOT)}, if it is not yet", file=sys.stderr, flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "ACTNET_WERROR"}
    done = subprocess.run([str(tree / "dev"), "bench", "--help"], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Unbuildable(f"the benchmarks of {commit[:12]} could not be built")
    return Commit(git("log", "-1", "--format=%h %s", commit).stdout.strip(), tree / "build" / "release" / "bench")


def check_out(commit, tree):
    """A folder of that name is always complete."""
    tree.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tree.parent) as folder:
        made = Path(folder) / "tree"
        made.mkdir()
        archive = subprocess.Popen(["git", "-C", str(ROOT), "archive", commit], stdout=subprocess.PIPE)
        unpacked = subprocess.run(["tar", "-x", "-C", str(made)], stdin=archive.stdout, check=False)
        if archive.wait() != 0 or unpacked.returncode != 0:
            raise Unbuildable(f"{commit[:12]} could not be checked out")
        made.rename(tree)
