"""The reference: runs any kernel with NumPy from the op declarations alone. Slow, strict, and the definition of correct."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from .errors import MemoryFault
from .ir import query
from .ir.core import Block, Kernel, Op, Value
from .ir.types import DType
from .memory import Buffer, Memory, held, outside, placed
from .waiting import Wait, waits
from .watch import Turns, Watch, named, require_room

Argument = Buffer | int | float | bool

Polls = dict[Block, Callable[["Run"], None]]


class Run:
    """One program: its place in the grid, the memory it sees, the values computed so far."""

    def __init__(self, memory: Memory, grid: tuple[int, ...], program_id: tuple[int, ...], polls: Polls | None = None):
        self.memory, self.grid, self.program_id, self.polls = memory, grid, program_id, polls or {}
        self.values: dict[Value, np.ndarray] = {}
        self.body: Block | None = None  # the outermost block that runs

    def block(self, block: Block, args: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Run a block; what its yield hands over."""
        self.body = self.body or block
        self.values.update(zip(block.args, args, strict=True))
        for op in block.ops:
            out = self.evaluate(op, [self.values[v] for v in op.operands])
            if "terminator" in op.spec.traits:
                return tuple(out)
            for result, made in zip(op.results, out, strict=True):
                value = np.asarray(made)
                if value.shape != result.type.shape or value.dtype != result.type.elem.numpy:
                    raise AssertionError(f"{op.spec.name} gave {value.dtype}{value.shape} for {result.type}")
                self.values[result] = value
        return ()

    def told(self, fault: MemoryFault, op: Op) -> MemoryFault:
        """A fault with the array that the pointer was made from, and the program."""
        if fault.access and self.body is not None:
            number = query.array_behind(self.body, query.origins(self.body), op.operands[0])
            if number is not None and number < len(self.memory.names):
                fault = outside(self.memory.regions, *fault.access, through=self.memory.names[number])
        return placed(fault, self.program_id, self.grid)

    def again(self, body: Block) -> None:
        """A `while` loop is about to test its condition again."""
        poll = self.polls.get(body)
        if poll is not None:
            poll(self)

    def lifted(self, block: Block, args: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Run a block of elementwise ops, declared on scalars, on whole tiles."""
        values = dict(zip(block.args, args, strict=True))
        shape = np.shape(args[0])
        for op in block.ops:
            out = self.evaluate(op, [values[v] if v in values else self.values[v] for v in op.operands])
            if "terminator" in op.spec.traits:
                return tuple(np.broadcast_to(x, shape) for x in out)
            values.update(zip(op.results, out, strict=True))
        raise AssertionError("a combining block ends in yield")

    def evaluate(self, op: Op, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """What an op makes of these."""
        spec = op.spec
        state = () if spec.effect == "pure" and not spec.blocks else (self,)
        more: dict[str, Any] = dict(op.attrs)
        if spec.blocks:
            more["blocks"] = op.blocks
        if "typed" in spec.traits:
            more["types"] = tuple(v.type for v in op.operands)
        try:
            with np.errstate(all="ignore"):
                out = spec.evaluate(*state, *inputs, **more)
        except MemoryFault as fault:
            told = fault if op.blocks else self.told(fault, op)  # what is in a block has been told already
            raise told.at(op.loc) from None
        results = out if isinstance(out, tuple) else () if out is None else (out,)
        if "elementwise" not in spec.traits or "moves" in spec.traits:
            return results
        return tuple(_rounded(r, x) for r, x in zip(op.results, results, strict=True))


def _rounded(result: Value, value: np.ndarray) -> np.ndarray:
    """The value in its own type: one that NumPy lacks computes in its carrier and rounds once."""
    elem = result.type.elem
    if isinstance(elem, DType) and elem.is_float and elem.storage != elem.numpy:
        return elem.round(np.asarray(value))
    return value


def interpret(kernel: Kernel, grid: Sequence[int], args: Sequence[Argument], cooperative: bool = False) -> None:
    """Run every program of the grid, x fastest, on bound arguments; those of a cooperative grid in turns. Faults name
    the user's line."""
    sizes = (tuple(grid) + (1, 1, 1))[:3]
    buffers = [a for a in args if isinstance(a, Buffer)]
    memory = Memory(buffers)
    inputs = [argument(a, v) for a, v in zip(args, kernel.body.args, strict=True)]
    loops = waits(kernel)
    places = [(x, y, z) for z, y, x in itertools.product(*(range(n) for n in reversed(sizes)))]
    if not loops:
        for place in places:
            Run(memory, sizes, place).block(kernel.body, inputs)
        return
    watch = Watch(memory=lambda: held(buffers))
    turns = None
    if cooperative:
        require_room(len(places))
        turns = Turns(len(places))

    def program(number: int) -> None:
        polls = {wait.loop.blocks[1]: _poll(wait, i, number, stop) for i, wait in enumerate(loops)}
        watch.enter(number)
        Run(memory, sizes, places[number], polls).block(kernel.body, inputs)
        watch.leave(number)

    def stop(number: int, loop: int, state: Hashable, address: int) -> None:
        if watch.poll(number, number, loop, state, address, loops[loop].stores):
            spans = [(b.start, b.stop, b.dtype.itemsize, b.name) for b in buffers]
            watch.check([wait.place for wait in loops], sizes, cooperative, lambda at: named(at, spans))
        watch.rest()
        if turns is not None:
            turns.hand_over(number)

    if turns is not None:
        turns.run(program)
    else:
        for number in range(len(places)):
            program(number)


def _poll(wait: Wait, loop: int, number: int, stop: Callable[[int, int, Hashable, int], None]) -> Callable[[Run], None]:
    """What a loop does between two iterations: tell what it saw."""

    def poll(run: Run) -> None:
        state = tuple(run.values[v].tobytes() for v in (*wait.watched, *wait.tiles))
        stop(number, loop, state, 0 if wait.address is None else int(run.values[wait.address]))

    return poll


def argument(arg: Argument, param: Value) -> np.ndarray:
    """An argument as a kernel sees it."""
    if isinstance(arg, Buffer):
        return np.asarray(arg.address, np.int64)
    elem = param.type.elem
    assert isinstance(elem, DType)
    return elem.round(np.asarray(arg, np.float64)) if elem.is_float else np.asarray(arg).astype(elem.numpy)


def values(kernel: Kernel) -> dict[Value, np.ndarray]:
    """All values of the outermost block of a kernel without parameters; for tests and constant folding."""
    run = Run(Memory([]), (1, 1, 1), (0, 0, 0))
    run.block(kernel.body, ())
    return run.values
