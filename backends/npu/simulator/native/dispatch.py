"""The loop that runs a program: it fetches a record, sees that the descriptors are in order, calls the function, and keeps the trace.

It leaves to Python whatever is unusual: a trap, types that no function was made for yet, a full trace, the jump back of a
loop that may wait.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import layout
from .layout import WORD, Box, Head, Record, Tile
from .write import Function

STEP = 32  # bytes of a row of the trace's steps


def dispatcher() -> str:
    """`i64 run(ptr core)`: run until something asks for Python; the status says what."""
    f = Function("run", "ptr %core")
    b = f.b
    for helper in (_check_tile, _check_box):
        helper(f)
    program, length, limit, steps = (f.word("%core", i) for i in (Head.PROGRAM, Head.LENGTH, Head.LIMIT, Head.STEPS))
    absent = f.at("%core", layout.tile(layout.ABSENT))
    b.line("br label %next")

    f.block("next")
    pc, issued, count = (f.word("%core", i) for i in (Head.PC, Head.ISSUED, Head.STEP_COUNT))
    f.require(f.test("ult", pc, length), layout.LOST)
    f.require(f.test("slt", issued, limit), layout.EXHAUSTED)
    room = [f.test("slt", f.word("%core", n), f.word("%core", m)) for n, m in ROOM]
    f.require(f.both(*room), layout.FULL)
    b.line(f"%rec = inttoptr i64 {b.add(program, b.mul(pc, Record.WORDS * WORD))} to ptr")
    step = f.at(b.value(f"inttoptr i64 {steps} to ptr"), b.mul(count, STEP))
    b.line(f"store i32 {_short(f, pc)}, ptr {step}")
    f.set("%core", Head.ISSUED, b.add(issued, 1))
    f.set("%core", Head.STEP_COUNT, b.add(count, 1))
    following = b.add(pc, 1)
    where = f.word("%rec", Record.WHEN)
    when = b.effect(f"load i64, ptr {f.at('%core', where)}")
    holds = b.value(f"zext i1 {f.test('ne', when, 0)} to i64")
    chosen = f.either(f.test("eq", where, 0), f.test("ne", holds, f.word("%rec", Record.UNLESS)))
    b.line(f"br i1 {chosen}, label %chosen, label %skipped")

    f.block("skipped")
    _row(f, step, 0, ["-1"] * 6)
    f.set("%core", Head.PC, following)
    b.line("br label %next")

    f.block("chosen")
    f.set("%core", Head.TOUCHED, -1)
    _row(f, step, 1, ["-1"] * 6)
    b.line(f"br i1 {f.test('ne', f.word('%rec', Record.TILE_COUNT), 0)}, label %tiles, label %call")

    f.block("tiles")
    tiles = [f.at("%core", f.word("%rec", Record.TILE + j)) for j in range(4)]
    for t in tiles:
        _in_order(f, t, Tile.STATE, "check_tile")
    types: str | int = 0
    for j, t in enumerate(tiles):
        types = b.value(f"or i64 {types}, {b.value(f'shl i64 {f.word(t, Tile.DTYPE)}, {8 * j}')}")
    _row(f, step, 1, [*(_short(f, f.word(t, Tile.TRACED)) for t in tiles), "-1", "-1"])
    box = f.word("%rec", Record.BOX)
    boxed = f.test("sge", box, 0)
    b.line("br label %tiled")
    f.block("tiled")
    b.line(f"br i1 {boxed}, label %box, label %typed")

    f.block("box")
    g = f.at("%core", box)
    _in_order(f, g, Box.STATE, "check_box")
    b.line(f"store i32 {_short(f, f.word(g, Box.TRACED))}, ptr {f.at(step, 24)}")
    more = b.value(f"or i64 {types}, {b.value(f'shl i64 {f.word(g, Box.DTYPE)}, {8 * 4}')}")
    b.line("br label %boxed")
    f.block("boxed")
    b.line("br label %typed")

    f.block("typed")
    found = b.effect(f"phi i64 [ {types}, %tiled ], [ {more}, %boxed ]")
    b.line(f"br i1 {f.test('eq', found, f.word('%rec', Record.TYPES))}, label %call, label %unfetch{layout.RESOLVE}")

    f.block("call")
    named = [b.effect(f"phi ptr [ {t}, %typed ], [ {absent}, %chosen ]") for t in tiles]
    f.set("%core", Head.PC, following)
    function = b.effect(f"inttoptr i64 {f.word('%rec', Record.FUNCTION)} to ptr")
    status = b.effect(f"call i64 {function}(ptr %core, ptr %rec, {', '.join(f'ptr {t}' for t in named)})")
    b.line(f"store i32 {_short(f, f.word('%core', Head.TOUCHED))}, ptr {f.at(step, 28)}")
    f.set("%core", 0, 0)  # r0
    b.line(f"br i1 {f.test('eq', status, layout.GO)}, label %next, label %stop")
    f.block("stop")
    b.line(f"br i1 {f.test('eq', status, layout.FALL_BACK)}, label %unfetch{layout.FALL_BACK}, label %stopped")
    f.block("stopped")
    b.line(f"br i1 {f.test('eq', status, layout.RESOLVE)}, label %unfetch{layout.RESOLVE}, label %leave")
    for reason in (layout.FALL_BACK, layout.RESOLVE):
        f.block(f"unfetch{reason}")
        f.set("%core", Head.PC, pc)
        f.set("%core", Head.ISSUED, issued)
        f.set("%core", Head.STEP_COUNT, count)
        b.line(f"ret i64 {reason}")
    f.block("leave")
    return f.done(status)


ROOM = [(Head.STEP_COUNT, Head.STEP_ROOM), (Head.TILE_COUNT, Head.TILE_ROOM), (Head.BOX_COUNT, Head.BOX_ROOM)]


def _short(f: Function, word: str) -> str:
    return f.b.value(f"trunc i64 {word} to i32")


def _row(f: Function, step: str, done: int, rest: Sequence[str]) -> None:
    """What a step's row says after its pc."""
    for i, value in enumerate([str(done), *rest]):
        f.b.line(f"store i32 {value}, ptr {f.at(step, 4 + 4 * i)}")


def _in_order(f: Function, descriptor: str, state: int, check: str) -> None:
    """Fall back unless a descriptor can be used; one that was set since it was last used is looked at."""
    b = f.b
    fine, look = f.fresh_label("fine"), f.fresh_label("look")
    b.line(f"br i1 {f.test('eq', f.word(descriptor, state), layout.CHECKED)}, label %{fine}, label %{look}")
    b.label(look)
    found = b.effect(f"call i64 @{check}(ptr %core, ptr {descriptor})")
    b.line(f"br i1 {b.effect(f'icmp eq i64 {found}, {layout.GO}')}, label %{fine}, label %unfetch{layout.FALL_BACK}")
    b.label(fine)


def _check_tile(caller: Function) -> None:
    """Whether a tile lies inside its memory; if so, what is derived from it is filled in, and the trace has its row."""
    f = Function("check_tile", "ptr %core, ptr %t")
    b = f.b
    f.require(f.test("ne", f.word("%t", Tile.STATE), layout.UNSET))
    space, base = f.word("%t", Tile.SPACE), f.word("%t", Tile.BASE)
    memory = f.at("%core", b.effect(f"mul i64 {space}, {(Head.ACC - Head.MEMORY) * WORD}"))
    start, end = (f.word(memory, i) for i in (Head.MEMORY, Head.MEMORY_END))
    data = b.add(start, base)
    low = high = data
    size: str | int = 1
    for axis in range(4):
        extent, stride = f.word("%t", Tile.EXTENTS + axis), f.word("%t", Tile.STRIDES + axis)
        reach = b.effect(f"mul i64 {b.effect(f'sub i64 {extent}, 1')}, {stride}")
        low, high = b.add(low, b.least(reach, 0)), b.add(high, b.most(reach, 0))
        size = b.mul(size, extent)
    high = b.value(f"add i64 {high}, {_itemsize(f, f.word('%t', Tile.DTYPE))}")
    f.require(f.both(f.test("sge", low, start), f.test("sle", high, end)))
    for word, value in ((Tile.DATA, data), (Tile.LOW, low), (Tile.HIGH, high), (Tile.SIZE, size)):
        f.set("%t", word, value)
    f.set(memory, Head.USED, b.most(f.word(memory, Head.USED), high))
    _remember(f, "%t", Tile.ROW, Tile.TRACED, (Head.TILE_ROWS, Head.TILE_COUNT))
    f.set("%t", Tile.STATE, layout.CHECKED)
    _helps(f, caller)


def _check_box(caller: Function) -> None:
    """Whether a box is set; the trace has its row then."""
    f = Function("check_box", "ptr %core, ptr %t")
    f.require(f.test("ne", f.word("%t", Box.STATE), layout.UNSET))
    _remember(f, "%t", Box.ROW, Box.TRACED, (Head.BOX_ROWS, Head.BOX_COUNT))
    f.set("%t", Box.STATE, layout.CHECKED)
    _helps(f, caller)


def _remember(f: Function, descriptor: str, words: int, traced: int, table: tuple[int, int]) -> None:
    """The trace gets a row for a descriptor, unless the last row that it had says the same."""
    b = f.b
    rows, count = b.effect(f"inttoptr i64 {f.word('%core', table[0])} to ptr"), f.word("%core", table[1])
    last = f.word(descriptor, traced)
    known = f.test("sge", last, 0)
    before = f.at(rows, b.effect(f"mul i64 {f.choose(known, last, 0)}, {words * WORD}"))
    same = f.both(known, *(f.test("eq", f.word(before, i), f.word(descriptor, i)) for i in range(words)))
    after = f.at(rows, b.effect(f"mul i64 {count}, {words * WORD}"))

    def append() -> None:
        for i in range(words):
            f.set(after, i, f.word(descriptor, i))
        f.set("%core", table[1], b.effect(f"add i64 {count}, 1"))
        f.set(descriptor, traced, count)

    f.when(b.value(f"xor i1 {same}, true"), append)


def _itemsize(f: Function, dtype: str) -> str:
    """Bytes of an element, from the code of its type."""
    sizes = sum(size.bit_length() - 1 << 2 * code for code, size in enumerate(layout.ITEMSIZES))
    shift = f.b.effect(f"lshr i64 {sizes}, {f.b.effect(f'mul i64 {dtype}, 2')}")
    return f.b.effect(f"shl i64 1, {f.b.effect(f'and i64 {shift}, 3')}")


def _helps(f: Function, caller: Function) -> None:
    """Make a function part of another's module."""
    text = f.done(internal=True)
    caller.declared |= f.declared
    caller.helpers.append("\n".join(line for line in text.splitlines() if not line.startswith("declare")))
