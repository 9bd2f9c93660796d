"""Many mutants in worker processes: a crash or a hang costs one worker, and is told with the mutant that caused it."""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random

from . import reduce, trial
from .sources import Unit, units

PATIENCE = 3 * trial.COMPILING  # seconds of a worker's own time without a word until it counts as hanging
SILENCE = 60 * trial.COMPILING  # seconds by the clock until it does: it may wait for something that never comes
MEMORY = 8 << 30  # bytes a worker may use
TASKS = 20  # units that one worker takes before another replaces it


@dataclass
class Tally:
    """What was found so far."""

    kinds: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    clumsy: Counter[str] = field(default_factory=Counter)
    stories: dict[str, str] = field(default_factory=dict)
    reached: Counter[int] = field(default_factory=Counter)  # how far kernels get as they are

    @property
    def mutants(self) -> int:
        return sum(self.kinds.values())

    def add(self, outcome: trial.Outcome, who: str) -> bool:
        """Count an outcome; whether it is a fault of a new kind."""
        self.kinds[outcome.kind] += 1
        if outcome.kind == "refused" and outcome.detail:
            self.clumsy[outcome.detail] += 1
        if not outcome.is_fault:
            return False
        self.faults[outcome.detail] += 1
        new = outcome.detail not in self.stories
        self.stories.setdefault(outcome.detail, f"{who}\n{outcome.report}")
        return new

    def __str__(self) -> str:
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.kinds.most_common())
        share = sum(n for score, n in self.reached.items() if score >= 2) / max(1, sum(self.reached.values()))
        return f"{self.mutants} mutants of {sum(self.reached.values())} kernels ({share:.0%} compile as they are): {kinds}"


@dataclass(frozen=True)
class Task:
    """Seeds of one unit."""

    unit: int
    first: int
    count: int


def work(found: Sequence[Unit], pipe: Connection, log: str, backends: Sequence[str]) -> None:
    """A worker: tells what it is about to do before it does it."""
    trace = open(log, "w")
    os.dup2(trace.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        task = pipe.recv()
        if task is None:
            return
        unit = found[task.unit]
        pipe.send(("at", 0))
        arguments, score = trial.prepare(unit, Random(unit.kernel))
        pipe.send(("reached", score[0]))
        for seed in range(task.first, task.first + task.count):
            pipe.send(("at", seed))
            pipe.send(("outcome", trial.attempt(trial.make(unit, seed, arguments), backends)))
        pipe.send(("done", None))


class Worker:
    """A process and what it was last known to do."""

    def __init__(self, found: Sequence[Unit], backends: Sequence[str]):
        self.log = tempfile.NamedTemporaryFile(prefix="mutants", suffix=".log", delete=False).name
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=work, args=(found, theirs, self.log, backends), daemon=True)
        self.process.start()
        theirs.close()
        self.task: Task | None = None
        self.seed, self.tasks = 0, 0
        self.hear()

    def hear(self) -> None:
        """Note that it said something now."""
        self.heard, self.spent = time.monotonic(), self._spent()

    def hangs(self) -> bool:
        """Whether it has been silent for too long; on a busy machine its own time counts, not the clock's."""
        return self._spent() - self.spent > PATIENCE or time.monotonic() - self.heard > SILENCE

    def _spent(self) -> float:
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it is gone, which the pipe will tell
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def give(self, task: Task) -> None:
        self.task = task
        self.hear()
        self.tasks += 1
        self.pipe.send(task)

    def end(self) -> str:
        """Stop the process; how it ended, with the last words of its log."""
        if self.process.is_alive():
            os.kill(self.process.pid or 0, signal.SIGKILL)
        self.process.join()
        self.pipe.close()
        words = Path(self.log).read_text(errors="replace")[-3000:]
        os.unlink(self.log)
        return f"exit code {self.process.exitcode}\n{words}"


def run(found: Sequence[Unit], tasks: Sequence[Task], jobs: int, backends: Sequence[str], seconds: float, verbose: bool = True) -> Tally:
    """All tasks, or as many as time allows."""
    tally, todo = Tally(), list(reversed(tasks))
    workers: list[Worker] = []
    start = time.monotonic()
    said = start
    try:
        while (todo and time.monotonic() - start < seconds) or any(w.task for w in workers):
            while len(workers) < jobs:
                workers.append(Worker(found, backends))
            for w in list(workers):
                if w.task is None and todo and time.monotonic() - start < seconds:
                    if w.tasks >= TASKS:
                        w.end()
                        workers[workers.index(w)] = w = Worker(found, backends)
                    w.give(todo.pop())
            for pipe in wait([w.pipe for w in workers if w.task], timeout=1.0):
                w = next(w for w in workers if w.pipe is pipe)
                if not _hear(w, found, tally, verbose):
                    _lost(w, "crash", found, tally, todo)
                    workers.remove(w)
            for w in [w for w in workers if w.task and w.hangs()]:
                _lost(w, "hang in native code", found, tally, todo)
                workers.remove(w)
            if verbose and time.monotonic() - said > 60:
                said = time.monotonic()
                print(tally, flush=True)
    finally:
        for w in workers:
            with contextlib.suppress(OSError):
                w.end()
    return tally


def _hear(w: Worker, found: Sequence[Unit], tally: Tally, verbose: bool) -> bool:
    """Take one message; False if the worker is no more."""
    try:
        what, value = w.pipe.recv()
    except (EOFError, OSError):
        return False
    w.hear()
    assert w.task is not None
    if what == "at":
        w.seed = value
    elif what == "reached":
        tally.reached[value] += 1
    elif what == "done":
        w.task = None
    elif what == "outcome" and tally.add(value, f"{found[w.task.unit]} seed {w.seed}") and verbose:
        print(f"fault: {found[w.task.unit]} seed {w.seed}: {value.detail}", flush=True)
    return True


def _lost(w: Worker, how: str, found: Sequence[Unit], tally: Tally, todo: list[Task]) -> None:
    """A worker that crashed or hangs: the rest of its task is for another."""
    assert w.task is not None
    unit, seed, task = found[w.task.unit], w.seed, w.task
    story = w.end()
    brief = next((line for line in reversed(story.splitlines()) if line.strip()), "")
    tally.add(trial.Outcome("fault", f"{how}: {story.splitlines()[0]}: {brief[:100]}", story), f"{unit} seed {seed}")
    print(f"fault: {unit} seed {seed}: {how}: {story.splitlines()[0]}", flush=True)
    rest = task.first + task.count - seed - 1
    if seed and rest > 0:
        todo.append(Task(task.unit, seed + 1, rest))


def tasks_of(found: Sequence[Unit], count: int, seed: int, each: int = 40) -> list[Task]:
    """Tasks for so many mutants, some of each unit, in random order; every seed has mutants of its own."""
    rounds = -(-count // (each * len(found)))
    tasks = [Task(i, 1 + (seed * 1000 + r) * each, each) for r in range(rounds) for i in range(len(found))]
    Random(seed).shuffle(tasks)
    whole, rest = divmod(count, each)
    return [*tasks[:whole], *[replace(t, count=rest) for t in tasks[whole : whole + 1] if rest]]


def main(arguments: Sequence[str]) -> int:
    """The command; its exit status says whether no mutant failed."""
    parser = argparse.ArgumentParser("python -m tiledsl mutants", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, help="files, and folders of files, with kernels in them")
    parser.add_argument("-n", "--count", type=int, default=1000, help="how many mutants (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other mutants")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes (%(default)s)")
    parser.add_argument("--backend", action="append", help="what to compile for; the last one runs, too (cpu)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after that time")
    parser.add_argument("--kernel", help="only kernels of this name")
    parser.add_argument("--one", type=int, metavar="SEED", help="show this mutant of a kernel and what becomes of it")
    parser.add_argument("--stories", type=Path, help="a file for the whole story of every kind of fault")
    given = parser.parse_args(arguments)
    backends = given.backend or ["cpu"]
    found = [u for u in units(given.paths) if given.kernel in (None, u.kernel)]
    if not found:
        print("there is no kernel in these files", file=sys.stderr)
        return 1
    if given.one is not None:
        return _one(found[0], given.one, backends)
    print(f"{len(found)} kernels", flush=True)
    tally = run(found, tasks_of(found, given.count, given.seed), given.jobs, backends, given.seconds)
    for detail, times in tally.faults.most_common():
        print(f"\n{times} x {detail}\n    {tally.stories[detail].splitlines()[0]}")
    if given.stories:
        given.stories.write_text("\n\n=====\n".join(f"{d}\n{tally.stories[d]}" for d, _ in tally.faults.most_common()))
    if tally.clumsy:
        print("\ndiagnostics that are Python's words, not ours:")
        for detail, times in tally.clumsy.most_common(40):
            print(f"    {times} x {detail}")
    print(f"\n{tally}")
    return 1 if tally.faults else 0


def _one(unit: Unit, seed: int, backends: Sequence[str]) -> int:
    arguments, _ = trial.prepare(unit, Random(unit.kernel))
    mutant = trial.make(unit, seed, arguments)
    print(mutant, flush=True)
    outcome = trial.attempt(mutant, backends)
    print(f"{outcome.kind} {outcome.detail}", flush=True)
    if outcome.is_fault:
        print(outcome.report.partition("\n")[0], "\n\nreduced:\n", reduce.smallest(mutant, outcome, backends), sep="")
    return int(outcome.is_fault)
