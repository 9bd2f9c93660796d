"""From a kernel of exact ops to the text of one LLVM function that runs a range of its programs.

    void run(ptr args, i64 first, i64 last, ptr arena)

args: the grid's three sizes as i64, then one 8-byte slot per parameter, then the function to call while
waiting, if it may wait. Programs are numbered with x fastest. A bit beside the number of the first (AGAIN) tells that
the arena is as an earlier range of the same launch left it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial

from tiledsl.errors import Unsupported
from tiledsl.ir.core import Block, Kernel, Op
from tiledsl.ir.types import Elem, Pointer
from tiledsl.passes.affine import Forms
from tiledsl.waiting import waits

from .arrange import histogram
from .buffers import Arena
from .coarsen import coarsen
from .code import Code
from .control import branch, for_loop, while_loop
from .demand import asked, leading
from .dot import dot
from .elementwise import RULES
from .emit import Builder
from .entry import AGAIN, ENTRY, PARAMETERS
from .evaluate import compute, evaluate, materialise
from .folds import reduce
from .machine import HostMachine
from .memory import atomic_cas, atomic_rmw, store, store_block
from .offsets import spacing, worth_asking
from .plan import WHOLE, is_virtual, plan
from .points import Point, at_constant
from .rounds import in_rounds, run_in_rounds
from .scans import scan
from .sort import sort
from .stream import METADATA, large, order
from .strips import steady
from .types import Kind, decoded, literal, memory
from .waiting import STOP


def lower(kernel: Kernel, machine: HostMachine, distinct: bool) -> tuple[str, int]:
    """The module's text, and how many bytes of scratch a worker needs."""
    declared: set[str] = set()
    kernel = coarsen(kernel, machine, machine.depth)
    made = plan(kernel, machine, distinct)
    code = Code(Builder(declared), machine, made, arena=Arena(), steady=steady(kernel, made, distinct))
    code.waits = {wait.loop: number for number, wait in enumerate(waits(kernel))}
    code.asked, code.leading = asked(kernel), leading(kernel)
    code.forms = cache(partial(Forms, kernel))
    code.offsets = worth_asking(kernel, made)
    code.poll = PARAMETERS + len(kernel.body.args)
    b = code.b
    sizes = [b.effect(f"load i64, ptr {b.value(f'getelementptr i64, ptr %args, i64 {axis}')}") for axis in range(3)]
    for position, param in enumerate(kernel.body.args):
        code.scalars[param] = _parameter(b, param.type.elem, position)
    places = {(op.spec.name, op.attrs["axis"]) for op in kernel.body.walk() if op.spec.effect == "grid"}
    for axis, size in enumerate(sizes):
        if ("num_programs", axis) in places:
            b.line(f"%num_programs.{axis} = trunc i64 {size} to i32")
    code.runs = b.mul(b.mul(sizes[0], sizes[1]), sizes[2])
    code.large = large(code, kernel)
    starts = _places(b, "%first", sizes, max((axis for name, axis in places if name == "program_id"), default=-1))
    each_program = partial(_each_program, code, sizes, starts)
    if in_rounds(kernel, made, distinct) is not None:
        run_in_rounds(code, kernel.body, each_program, lower_ops)
    else:
        each_program([], lambda _: _whole(code, kernel.body))
    order(code)
    head = f"define void @{ENTRY}(ptr %args, i64 %from, i64 %last, ptr %arena) nounwind {{"
    parts = [
        head,
        "entry:",
        f"%first = and i64 %from, {AGAIN - 1}",
        *b.finish(),
        "ret void",
        *[f"{STOP}:", "ret void"] * bool(code.waits),
        "}",
    ]
    for function in code.functions.values():
        parts += function
    if "sort" in {op.spec.name for op in kernel.body.walk()}:
        declared.add("declare i64 @llvm.ctlz.i64(i64, i1 immarg)")
    return "\n".join([*parts, *sorted(declared), METADATA, ""]), code.arena.size


def _each_program(
    code: Code, sizes: list[str], starts: list[str], carried: list[tuple[str, str]], run: Callable[[list[str]], list[str]]
) -> list[str]:
    """A loop over programs from the first to the last, with what each hands on to the next."""
    b, axes = code.b, len(starts)
    with b.loop("%first", "%last", 1, [*(("i64", start) for start in starts), *carried]) as loop:
        code.program = str(loop.index)
        for axis, here in enumerate(loop.carried[:axes]):
            b.line(f"%program_id.{axis} = trunc i64 {here} to i32")
        following = _next_place(b, loop.carried[:axes], sizes)
        loop.next = [*following, *run(loop.carried[axes:])]
    return loop.carried[axes:]


def _whole(code: Code, body: Block) -> list[str]:
    """A program from beginning to end, which hands on nothing."""
    lower_block(code, body)
    return []


def _places(b: Builder, number: str, sizes: list[str], last: int) -> list[str]:
    """Where in the grid the program of a number stands, along the axes up to the last that is asked for."""
    found = []
    for axis in range(last + 1):
        size = b.most(sizes[axis], 1)  # of no programs, too
        found.append(b.value(f"urem i64 {number}, {size}") if axis < 2 else number)
        if axis < last:
            number = b.value(f"udiv i64 {number}, {size}")
    return found


def _next_place(b: Builder, places: list[str], sizes: list[str]) -> list[str]:
    """Where the next program stands; without a division, that its addresses would wait for."""
    found, carry = [], "true"
    for axis, here in enumerate(places):
        moved = b.value(f"add i64 {here}, {b.value(f'zext i1 {carry} to i64')}")
        if axis == 2:
            found.append(moved)
            break
        carry = b.value(f"icmp uge i64 {moved}, {sizes[axis]}")
        found.append(b.value(f"select i1 {carry}, i64 0, i64 {moved}"))
    return found


def _parameter(b: Builder, elem: Elem, position: int) -> str:
    at = b.value(f"getelementptr i64, ptr %args, i64 {PARAMETERS + position}")
    if isinstance(elem, Pointer):
        return b.effect(f"load i64, ptr {at}")
    return decoded(b, Kind(elem, 0), b.effect(f"load {memory(elem)}, ptr {at}"))


def lower_block(code: Code, block: Block) -> None:
    """The ops of a block in program order; virtual tiles wait for their consumers."""
    lower_ops(code, block.ops)


def lower_ops(code: Code, ops: Iterable[Op]) -> None:
    """Some ops of a block, in program order."""
    for op in ops:
        try:
            lower_op(code, op)
        except Unsupported as error:
            raise error.at(op.loc) from None
        for value in code.plan.release.get(op, ()):
            code.arena.give(code.scratch[value])


def lower_op(code: Code, op: Op) -> None:
    """Code for one op, unless it is an expression that its consumers will evaluate."""
    name = op.spec.name
    if name in STATEMENTS:
        STATEMENTS[name](code, op)
    elif name in CONTROL:
        CONTROL[name](code, op, lower_block)
    elif name == "yield":
        return
    elif is_virtual(op):
        if op.result in code.plan.memory and op.result not in code.plan.home:
            materialise(code, op.result)
            if op.result in code.offsets:
                code.spacing[op.result] = spacing(code, op.result)
    else:
        _scalar(code, op)


def _scalar(code: Code, op: Op) -> None:
    """An op with a scalar result, here and now."""
    name, result = op.spec.name, op.result
    if name == "constant":
        code.scalars[result] = literal(result.type.elem, op.attrs["value"])
    elif op.spec.effect == "grid":
        code.scalars[result] = f"%{name}.{op.attrs['axis']}"
    else:
        with code.nest():
            if name == "reshape":
                source = op.operands[0]
                point = Point(tuple(at_constant(0) for _ in source.type.shape))
                code.scalars[result] = evaluate(code, source, point).text
            elif name in RULES or name in ("load", "load_block", "broadcast", "transpose"):
                code.scalars[result] = compute(code, op, Point(())).text
            else:
                raise Unsupported(f"the CPU has no code for op {name}", op.loc)


STATEMENTS: dict[str, Callable[[Code, Op], None]] = {
    "store": store,
    "store_block": store_block,
    "atomic_rmw": atomic_rmw,
    "atomic_cas": atomic_cas,
    "reduce": reduce,
    "scan": scan,
    "dot": dot,
    "sort": sort,
    "histogram": histogram,
}
CONTROL: dict[str, Callable[[Code, Op, Callable[[Code, Block], None]], None]] = {"for": for_loop, "while": while_loop, "if": branch}
assert set(WHOLE) <= {*STATEMENTS, *CONTROL}
