"""Waiting for another program: the code in loops that may wait, and the function that it calls.

    i32 poll(i64 program, i64 loop, i64 state, i64 address)

A loop calls it now and then, with a digest of what its iteration saw; where it returns other than 0, all programs stop. The
call also keeps LLVM from reading memory once for all iterations.
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable, Sequence

from tiledsl.ir.types import Elem
from tiledsl.waiting import Wait
from tiledsl.watch import Watch

from .buffers import Scratch
from .code import Code
from .types import register

POLL = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
PATIENCE = 256  # iterations between two polls; a power of two
STOP = "STOP"  # the block that leaves the function
MIX = 0x9E3779B97F4A7C15 - (1 << 64)
BITS = {"half": "i16", "bfloat": "i16", "float": "i32", "double": "i64"}


def poll(code: Code, wait: Wait, turn: str) -> str:
    """Code at the end of an iteration: every so often, tell what it saw. Returns the number of the next iteration."""
    b = code.b
    n, b.count = b.count + 1, b.count + 1
    following = b.effect(f"add i64 {turn}, 1")
    due = b.effect(f"icmp eq i64 {b.effect(f'and i64 {following}, {PATIENCE - 1}')}, 0")
    b.line(f"br i1 {due}, label %P{n}, label %R{n}")
    b.label(f"P{n}")
    state = "0"
    seen = [_bits(code, value.type.elem, code.scalars[value]) for value in wait.watched]
    for bits in (*seen, *(_digest(code, code.scratch[tile]) for tile in wait.tiles)):
        state = b.effect(f"xor i64 {b.effect(f'mul i64 {state}, {MIX}')}, {bits}")
    address = "0" if wait.address is None else code.scalars[wait.address]
    function = b.effect(f"load ptr, ptr {b.effect(f'getelementptr i64, ptr %args, i64 {code.poll}')}")
    stop = b.effect(f"call i32 {function}(i64 {code.program}, i64 {code.waits[wait.loop]}, i64 {state}, i64 {address})")
    b.line(f"br i1 {b.effect(f'icmp eq i32 {stop}, 0')}, label %R{n}, label %{STOP}")
    b.label(f"R{n}")
    return following


def _digest(code: Code, piece: Scratch) -> str:
    """A number that stands for a tile in memory; nothing of it may be used where the block that polls is left out."""
    b = code.b
    start = b.effect(f"getelementptr i8, ptr %arena, i64 {piece.offset}")
    words = -(-math.prod(piece.shape) * piece.elem.itemsize // 8)
    with b.loop(0, words, 1, [("i64", "0")]) as loop:
        word = b.effect(f"load i64, ptr {b.effect(f'getelementptr i64, ptr {start}, i64 {loop.index}')}, align 8")
        loop.next = [b.effect(f"xor i64 {b.effect(f'mul i64 {loop.carried[0]}, {MIX}')}, {word}")]
    return loop.carried[0]


def _bits(code: Code, elem: Elem, text: str) -> str:
    """A scalar as an i64."""
    kind = register(elem)
    if kind in BITS:
        text, kind = code.b.effect(f"bitcast {kind} {text} to {BITS[kind]}"), BITS[kind]
    return text if kind == "i64" else code.b.effect(f"zext {kind} {text} to i64")


def polling(watch: Watch, stores: Sequence[bool]) -> ctypes._FuncPointer:
    """The function to call while waiting, given which loops store; it must live as long as the launch."""

    def answer(program: int, loop: int, state: int, address: int) -> int:
        try:
            if watch.poll(threading.get_ident(), program, loop, state, address, stores[loop]):
                return 1
            watch.rest()
        except BaseException as error:  # raised by a signal's handler
            watch.interrupt = error
        return int(watch.over)

    return POLL(answer)


def watched(run: Callable[[int, int, int, int], None], watch: Watch) -> Callable[[int, int, int, int], None]:
    """A run whose programs are watched; once the launch is over, none begins."""

    def begin(args: int, first: int, last: int, arena: int) -> None:
        if watch.over:
            return
        worker = threading.get_ident()
        watch.enter(worker)
        try:
            run(args, first, last, arena)
        finally:
            watch.leave(worker)

    return begin
