"""Loops with the stride of the grid, `for row in range(program_id, rows, num_programs)`: one iteration of every program, then the next.

Programs next to each other then read memory next to each other, one after the other, which caches, pages and prefetching are made
for; a program that ran to its end first would leap through memory. Of a program everything stays in its order, and
programs have none among each other unless they wait, or count by atomics, which such a loop must not. What stands before it is
computed again in every round, so it must be scalars, and tiles that are expressions.
"""

from __future__ import annotations

from collections.abc import Callable

from tiledsl import ops
from tiledsl.ir.core import Block, Kernel, Op, Value

from .alias import WRITES, Aliases
from .code import Code
from .control import iteration, iterations, steps
from .plan import Plan, is_scalar, is_virtual
from .stream import again

EachProgram = Callable[[list[tuple[str, str]], Callable[[list[str]], list[str]]], list[str]]  # what they carry, and what each does


def in_rounds(kernel: Kernel, plan: Plan, distinct: bool) -> Op | None:
    """The loop with which every program of a kernel ends, if it may run in rounds and is better for it; `distinct`: whether
    what is written overlaps no other argument."""
    if not kernel.body.ops:
        return None
    *before, loop = kernel.body.ops
    if loop.spec is not ops.for_ or len(loop.operands) > 3 or not _apart(loop.operands[0], loop.operands[2]):
        return None
    if not all(is_scalar(op) or is_virtual(op) and op.result not in plan.memory for op in before):
        return None
    inner = [op for block in loop.blocks for op in block.walk()]
    if any("atomic" in op.spec.traits or op.spec is ops.while_ for op in inner):
        return None
    aliases = Aliases(kernel, distinct)
    reads = [op for op in kernel.body.walk() if op.spec.effect == "read"]
    writes = [op for op in inner if op.spec.name in WRITES]
    return None if any(aliases.conflict(read, write) for read in reads for write in writes) else loop


def _apart(first: Value, step: Value) -> bool:
    """Whether a program's next iteration is farther away than the next program's same one."""
    starts, steps = _factors(first), _factors(step)
    if sum(_is(v, ops.program_id) for v in starts) != 1:
        return False
    if any(_is(v, ops.num_programs) for v in steps):
        return _without(starts, ops.program_id) == _without(steps, ops.num_programs)
    source = step.source
    return len(starts) == 1 and (source is None or source.spec is ops.constant and source.attrs["value"] > 1)


def _factors(value: Value) -> list[Value]:
    if not _is(value, ops.mul):
        return [value]
    assert value.source is not None
    return [factor for operand in value.source.operands for factor in _factors(operand)]


def _is(value: Value, spec: object) -> bool:
    return value.source is not None and value.source.spec is spec


def _without(factors: list[Value], spec: object) -> set[Value]:
    return {v for v in factors if not _is(v, spec)}


def run_in_rounds(code: Code, body: Block, each_program: EachProgram, run: Callable[[Code, list[Op]], None]) -> None:
    """All programs' first iterations, then all second ones, until no program has another."""
    b, (*before, loop) = code.b, body.ops

    def part(turn: str) -> str:
        """What one program does in this round; whether it has something to do in the next."""
        run(code, before)
        count = iterations(code, loop)

        def once() -> list[str]:
            with again(code, loop.blocks[0], count):
                iteration(code, loop, steps(code, loop), (turn, count), lambda code, block: run(code, block.ops))
            return []

        b.branch(b.value(f"icmp slt i64 {turn}, {count}"), [], once, lambda: [])
        return b.value(f"icmp slt i64 {b.value(f'add i64 {turn}, 1')}, {count}")

    def turn_of_all(turn: str) -> tuple[str, str]:
        (more,) = each_program([("i1", "false")], lambda carried: [b.value(f"or i1 {carried[0]}, {part(turn)}")])
        return b.effect(f"add i64 {turn}, 1"), b.effect(f"xor i1 {more}, true")

    b.until("i64", "0", turn_of_all)
