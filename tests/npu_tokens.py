"""Programs of the accelerator without one of their tokens: who notices? A test samples them; run as a program, this tries them all.

python tests/npu_tokens.py [how many random kernels]
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import Phase, given, settings

import tiledsl.kernels
from tiledsl.backend.base import Buffer, Options, Program
from tiledsl.backends.npu import Backend
from tiledsl.backends.npu.backend import argument
from tiledsl.backends.npu.check import verify
from tiledsl.backends.npu.compiler.container import from_bytes
from tiledsl.backends.npu.compiler.together import runs
from tiledsl.backends.npu.isa.instructions import NO_SEMAPHORE, T1
from tiledsl.backends.npu.isa.state import Trap
from tiledsl.backends.npu.machine import T1_BASE
from tiledsl.backends.npu.simulator.checked import CheckedCore, Checks
from tiledsl.backends.npu.simulator.fast import load
from tiledsl.backends.npu.simulator.run import decode
from tiledsl.ir.types import u8
from tiledsl.memory import Memory
from tiledsl.passes import pipeline
from tiledsl.testing import cases, programs

CAUGHT = ("RACE", "SEM_UNDERFLOW", "SEM_LEAK", "SEM_OVERFLOW")
RACES, SILENT = Checks(uninitialised=False), Checks(races=False, uninitialised=False)


@dataclass
class Launched:
    """A launch that can be had again with other words."""

    program: Program
    grid: tuple[int, int, int]
    args: list[Any]

    @property
    def words(self) -> list[int]:
        return from_bytes(self.program.binary, T1_BASE).words

    def again(self, words: list[int], checks: Checks) -> tuple[str, list[bytes], set[int]]:
        """Run other words under checks: what was found, what the arrays held then, and which instructions ran. The arrays
        are put back."""
        core, buffers = CheckedCore(T1_BASE, checks), [a for a in self.args if isinstance(a, Buffer)]
        ran: set[int] = set()
        reason = ""
        bound = [argument(a, t) for a, t in zip(self.args, self.program.params, strict=True)]
        room = np.zeros(from_bytes(self.program.binary, T1_BASE).scratch, np.uint8)
        if room.size:  # for tiles that do not fit
            buffers = [*buffers, Buffer(room.ctypes.data, room.nbytes, u8, True, room, "scratch")]
            bound.append(room.ctypes.data)
        grid, most = self.grid, from_bytes(self.program.binary, T1_BASE).together
        if most:
            grid, extra = runs(most, grid, T1_BASE.cores, *bound[len(self.args) :])
            bound = [*bound[: len(self.args)], *extra]
        before = [np.copy(b.owner) for b in buffers]
        core.attach(load(decode(words), T1_BASE), Memory(buffers), bound, grid)
        places = itertools.product(*(range(n) for n in reversed(grid)))
        try:
            for number, place in enumerate(places):
                core.run(number, place[::-1], lambda trace: ran.update(trace.steps["pc"].tolist()))
        except Trap as trap:
            reason = trap.reason
        after = [np.copy(b.owner).tobytes() for b in buffers]
        for b, old in zip(buffers, before, strict=True):
            b.owner[...] = old
        return reason, after, ran


def of_kernels() -> list[Launched]:
    """The launches of the kernels that come with tiledsl, on their small shapes."""
    found: list[Launched] = []

    class Noted(Backend):
        def launch(self, program: Program, grid: Any, args: Any, options: Options) -> Any:
            found.append(Launched(program, (*grid, 1, 1)[:3], list(args)))
            return super().launch(program, grid, args, options)

    tiledsl.backend.registry.register(noted := Noted())
    try:
        for sample in tiledsl.kernels.samples():
            for shape in sample.tests:
                arrays, chosen = sample.inputs(np.random.default_rng(0), **shape)
                sample.run(*arrays, **chosen, backend=noted.name)
    finally:
        tiledsl.backend.registry.register(Backend())
    return found


def of_random(count: int) -> list[Launched]:
    """Launches of random kernels."""
    backend, found = Backend(), []

    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate], derandomize=True)
    @given(programs.cases())
    def collect(case: cases.Case) -> None:
        lowered = pipeline.run(case.kernel, backend.passes, backend.machine)
        found.append(Launched(backend.compile(lowered, Options()), case.grid, cases.bind(case)[0]))

    collect()
    return found


def without(words: list[int], *gone: tuple[int, str]) -> list[int]:
    """The words without some of their waits and posts."""
    changed = list(words)
    for at, name in gone:
        one = T1.decode(changed[at])
        changed[at] = T1.encode(one.instruction.name, *one.operands, **(dict(one.common) | {name: NO_SEMAPHORE}))
    return changed


def deletions(words: list[int]) -> Iterator[tuple[str, int, list[int]]]:
    """(kind, where, words): without one wait, without one post, and without both ends of one token, as they pair up in the text."""
    posts: dict[int, deque[int]] = defaultdict(deque)
    for at, word in enumerate(words):
        one = T1.decode(word)
        for name in ("wait0", "wait1"):
            if one[name] != NO_SEMAPHORE:
                yield "wait", at, without(words, (at, name))
                if posts[one[name]]:
                    yield "token", at, without(words, (at, name), (posts[one[name]].popleft(), "post"))
        if one["post"] != NO_SEMAPHORE:
            yield "post", at, without(words, (at, "post"))
            posts[one["post"]].append(at)


def by_words(words: list[int]) -> str:
    """What the static checker says."""
    try:
        verify(words, T1_BASE)
    except Trap as trap:
        return trap.reason
    return ""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seen: Counter[str] = Counter()
    tried: set[tuple[int, ...]] = set()
    for launched in [*of_kernels(), *of_random(count)]:
        words = launched.words
        if tuple(words) in tried:
            continue
        tried.add(tuple(words))
        assert by_words(words) == "" == launched.again(words, Checks())[0], launched.program.name
        ran = launched.again(words, SILENT)[2]
        for kind, at, changed in deletions(words):
            static, running = by_words(changed), launched.again(changed, RACES)[0] if at in ran else "does not come there"
            seen[f"{kind}: tried"] += 1
            seen[f"{kind}: words {static or 'pass'}"] += 1
            seen[f"{kind}: run {running or 'passes'}"] += 1
            if static not in CAUGHT or kind != "token" and not running:
                print(f"not caught: {kind} of {launched.program.name} at {at}: words {static or 'pass'}, run {running or 'passes'}")
    for what, number in sorted(seen.items()):
        print(f"{what:32}{number}")


if __name__ == "__main__":
    main()
