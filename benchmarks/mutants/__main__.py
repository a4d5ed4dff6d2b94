"""Mutates formulas one at a time, runs the tests of each, and names the mutants that no test notices.

    python -m benchmarks.mutants [frontrunner/scores/lda.py ...] [--sample 200] [--seed 0] [--jobs 2]

Without a path: `scores`, `discrepancy` and `tuning/methods`. Cosmic Ray makes the mutants; they are written into a copy
of the working tree, never into the tree. A mutant's tests are those that enter a function of its module; they run in a
fork of this process, which has imported what takes seconds to import but nothing of the library. Results are kept in
`build/mutants` and not computed again until the module changes; survivors are tried again when tests have changed.
Delete the folder to begin anew.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks.mutants.mutations import Mutant, is_equivalent, mutants_of
from benchmarks.mutants.trial import PRELOADED, ROOT, WRONG_LIBRARY, start_tests

WORK = ROOT / "build" / "mutants"
PACKAGES = ("frontrunner/scores", "frontrunner/discrepancy", "frontrunner/tuning/methods")
# A mutant may loop without end: it is stopped after this many times what its tests took, and some seconds.
SLACK, SLACK_S = 3.0, 10.0


@dataclass
class Trial:
    """A mutant under test in one copy of the tree."""

    mutant: Mutant
    key: str
    tree: Path
    process: BaseProcess
    deadline: float


def files_of(tree: Path, names: list[str]) -> list[str]:
    """The Python files that are named or lie under a named folder, inside the tree."""
    found = [
        path for name in names for path in ([tree / name] if name.endswith(".py") else (tree / name).rglob("*.py"))
    ]
    return sorted(str(path.relative_to(tree)) for path in found)


def room_of(module: str, config: dict[str, Any]) -> str:
    """The longest prefix of a module's path that tests are named for."""
    return max((prefix for prefix in config["tests"] if module.startswith(prefix)), key=len)


def tests_of(room: str, tree: Path, config: dict[str, Any]) -> list[str]:
    """The files and folders of tests of a room."""
    found = [path for pattern in config["tests"][room] for path in sorted(tree.glob(pattern))]
    return list(dict.fromkeys(str(path.relative_to(tree)) for path in found))


def copy_tree(into: Path) -> None:
    """The working tree's files that git does not ignore."""
    listed = subprocess.run(
        [shutil.which("git") or "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    shutil.rmtree(into, ignore_errors=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, into / name)


@dataclass(frozen=True)
class Judges:
    """Which tests decide about the mutants of a room.

    Attributes:
        tests: what pytest is told to run: the doctests of its modules and its tests.
        callers: by module, those of them that enter one of its functions.
        limit_s: after which a mutant is taken to loop.
    """

    tests: list[str]
    callers: dict[str, list[str]]
    limit_s: float

    def of(self, mutant: Mutant) -> list[str]:
        """The tests that can notice a mutant: outside of functions, it may change anything."""
        return self.callers.get(mutant.module, self.tests) if mutant.inside else self.tests


def judges_of(room: str, modules: list[str], tree: Path, config: dict[str, Any]) -> Judges:
    """Runs the tests of a room without a mutation; ends the program where they fail."""
    left_out = [f"--{'deselect' if '::' in test else 'ignore'}={test}" for test in config["left_out"]]
    tests, callers = [*modules, *tests_of(room, tree, config), *left_out], tree.with_suffix(".callers")
    began = time.monotonic()
    process = start_tests(tree, tests, callers)
    process.join()
    if process.exitcode != 0:
        log = tree.with_suffix(".log").read_text()[-4000:]
        sys.exit(f"{log}\nthe tests of {room} do not pass without a mutation (exit code {process.exitcode})")
    return Judges(tests, json.loads(callers.read_text()), SLACK * (time.monotonic() - began) + SLACK_S)


def digest_of(tree: Path, tests: list[str]) -> str:
    """Of the tests' files."""
    return hashlib.sha256(b"".join((tree / name).read_bytes() for name in files_of(tree, tests))).hexdigest()


def outcome_of(trial: Trial) -> str:
    """killed, survived or timed out; the process is gone afterwards."""
    if trial.process.is_alive():
        os.killpg(trial.process.pid or 0, signal.SIGKILL)
        trial.process.join()
        return "timed out"
    trial.process.join()
    if trial.process.exitcode == WRONG_LIBRARY:
        sys.exit("the tests loaded the library from outside the mutated copy")
    return "killed" if trial.process.exitcode else "survived"


def try_all(mutants: list[Mutant], trees: list[Path], config: dict[str, Any]) -> dict[Mutant, str]:
    """The outcome of every mutant; what an earlier run found is not computed again."""
    kept = WORK / "results.json"
    results: dict[str, list[str]] = json.loads(kept.read_text()) if kept.exists() else {}
    sources = {module: (trees[0] / module).read_text() for module in {mutant.module for mutant in mutants}}
    rooms = {module: room_of(module, config) for module in sources}
    digests = {module: digest_of(trees[0], tests_of(rooms[module], trees[0], config)) for module in sources}
    outcomes: dict[Mutant, str] = {}
    judges: dict[str, Judges] = {}
    free, running = list(trees), list[Trial]()

    def finish() -> None:
        soonest = min(trial.deadline for trial in running) - time.monotonic()
        wait([trial.process.sentinel for trial in running], max(soonest, 0.0))
        for trial in [t for t in running if not t.process.is_alive() or time.monotonic() >= t.deadline]:
            running.remove(trial)
            free.append(trial.tree)
            module = trial.mutant.module
            (trial.tree / module).write_text(sources[module])
            outcome = outcomes[trial.mutant] = outcome_of(trial)
            results[trial.key] = [outcome, digests[module]]
            kept.write_text(json.dumps(results))
            print(f"{len(outcomes)}/{len(mutants)} {outcome} {module}:{trial.mutant.line}", file=sys.stderr)

    for mutant in mutants:
        module, changed = mutant.module, mutant.source(sources[mutant.module])
        if is_equivalent(mutant, sources[module], config):
            continue
        key = hashlib.sha256(f"{module}\n{changed}".encode()).hexdigest()
        known = results.get(key)
        if known and (known[0] != "survived" or known[1] == digests[module]):
            outcomes[mutant] = known[0]
            continue
        while not free:
            finish()
        tree = free.pop()
        room = rooms[module]
        if room not in judges:
            judges[room] = judges_of(room, [other for other in rooms if rooms[other] == room], tree, config)
        (tree / module).write_text(changed)
        process = start_tests(tree, judges[room].of(mutant))
        running.append(Trial(mutant, key, tree, process, time.monotonic() + judges[room].limit_s))
    while running:
        finish()
    return outcomes


def place(mutant: Mutant) -> tuple[str, int]:
    """Where it stands."""
    return mutant.module, mutant.line


def report(outcomes: dict[Mutant, str], tree: Path) -> None:
    """The survivors by file and line, then a line of figures per package and in all."""
    for mutant in sorted((mutant for mutant, outcome in outcomes.items() if outcome == "survived"), key=place):
        before, after = mutant.difference((tree / mutant.module).read_text())
        print(f"{mutant.module}:{mutant.line}\n    - {before}\n    + {after}")
    print(f"\n{'':28} {'mutants':>8} {'killed':>8} {'survived':>8} {'timed out':>9} {'share of survivors':>19}")
    for package in (*PACKAGES, ""):
        counted = Counter(outcome for mutant, outcome in outcomes.items() if mutant.module.startswith(package))
        if total := counted.total():
            print(
                f"{package or 'all':28} {total:8} {counted['killed']:8} {counted['survived']:8} "
                f"{counted['timed out']:9} {counted['survived'] / total:19.1%}"
            )


def main() -> None:
    """Reads the command line, makes mutants and copies, tries and reports."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", nargs="*", default=list(PACKAGES), help="modules or packages")
    parser.add_argument("--sample", type=int, help="how many mutants, drawn at random; default all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    config = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text())
    trees = [WORK / f"tree{job}" for job in range(arguments.jobs)]
    for tree in trees:
        copy_tree(tree)
    modules = files_of(trees[0], arguments.paths)
    mutants = [mutant for module in modules for mutant in mutants_of(trees[0], module, config)]
    if arguments.sample:
        # By a hash of each: a change of one module leaves the sample of the others as it is.
        mutants.sort(key=lambda mutant: hashlib.sha256(f"{arguments.seed} {mutant}".encode()).digest())
        mutants = sorted(mutants[: arguments.sample], key=place)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("FRONTRUNNER_PACK", str(ROOT.parent / "shared" / "pack"))
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # collections in the forks pass over what was imported here
    report(try_all(mutants, trees, config), trees[0])


if __name__ == "__main__":
    main()
