"""The last store of a program in parts: what is multiplied, drained, computed and stored at the end goes some rows at a time, so that
the first of them are on their way to memory while the matrix unit is at work on the others.

    mm acc; t = accrd acc; u = cast t; dst u; halt      for each part: mm acc[part]; ...; dst u[part]      halt

What ends a program stands behind the loop before it, where all ways out of it meet, and nothing overlaps where ways meet. So it
is written behind each of them first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from ..isa.state import ACC
from ..machine import Npu
from .groups import is_grouped, roles
from .layout import Box, View
from .names import Buffer, Label, Reg
from .resident import Plan, Resident, replace_operands, views
from .schedule import LONG
from .write import Code, Line, Operand

MOST = 4  # parts: more would begin sooner still, and be more words
LONGEST = 60  # lines that are written more than once
Map = tuple[int, tuple[int, ...], Reg | None]  # from which byte of its buffer a tile begins, in which strides, moved by what


def in_parts(code: Code, machine: Npu) -> Code:
    """The same program, its last store in parts if that is worth it."""
    begin = max((i for i, item in enumerate(code) if isinstance(item, Label)), default=-1) + 1
    end = _stretch(code, begin)
    if end is None or len(end) > LONGEST or not _chain(end, machine)[1]:
        return code
    leaving = [i for i, item in enumerate(code) if isinstance(item, Line) and item.name == "jump" and _target(code, item) == begin]
    out: Code = []
    for i, item in enumerate(code):
        if i in leaving:
            out += _renamed(code, end)
        else:
            out.append(item)
    done: Code = []
    for stretch in _stretches(_reached(out)):
        last = stretch[-1]
        done += _parted(stretch, machine, code) if isinstance(last, Line) and last.name == "halt" else stretch
    return done


def _stretch(code: Code, begin: int) -> list[Line] | None:
    """The lines from a place to the end of the program; None if control flow comes before."""
    found: list[Line] = []
    for item in code[begin:]:
        if isinstance(item, Label) or item.name.startswith("jump"):
            return None
        found.append(item)
        if item.name == "halt":
            return found
    return None


def _target(code: Code, jump: Line) -> int:
    """Where a jump leads in the end."""
    places = {item: i for i, item in enumerate(code) if isinstance(item, Label)}
    seen = set()
    while True:
        (label,) = jump.operands
        assert isinstance(label, Label)
        at = places[label]
        while at < len(code) and isinstance(code[at], Label):
            at += 1
        following = code[at]
        if not isinstance(following, Line) or following.name != "jump" or at in seen:
            return at
        seen.add(at)
        jump = following


def _renamed(code: Code, lines: list[Line]) -> list[Line]:
    """Lines once more, with registers and buffers of their own for those that nobody else knows."""
    mine = set(map(id, lines))
    elsewhere: set[object] = {x for line in code if isinstance(line, Line) and id(line) not in mine for x in _named(line)}
    buffers: dict[Buffer, Buffer] = {}
    registers: dict[Reg, Reg] = {}

    def register(x: Reg) -> Reg:
        return x if x in elsewhere else registers.setdefault(x, Reg())

    def again(x: Operand) -> Operand:
        if isinstance(x, Reg):
            return register(x)
        if isinstance(x, View):
            buffer = x.buffer if x.buffer in elsewhere else buffers.setdefault(x.buffer, Buffer(x.buffer.nbytes, x.buffer.space))
            return replace(x, buffer=buffer, moved=x.moved and register(x.moved))
        if isinstance(x, Box):
            bounds = tuple(b and (register(b[0]), register(b[1])) for b in x.bounds)
            strides = tuple(register(s) for s in x.strides)
            return replace(x, base=register(x.base), strides=strides, bounds=bounds, fill=x.fill and register(x.fill))
        return x

    return [replace(line, operands=tuple(map(again, line.operands)), when=line.when and register(line.when)) for line in lines]


def _named(line: Line) -> Iterator[Reg | Buffer]:
    """The registers and buffers that a line has to do with."""
    if line.when is not None:
        yield line.when
    for x in line.operands:
        if isinstance(x, Reg):
            yield x
        elif isinstance(x, View):
            yield x.buffer
            if x.moved is not None:
                yield x.moved
        elif isinstance(x, Box):
            yield from (x.base, *x.strides, *(r for bound in x.bounds if bound for r in bound))
            if x.fill is not None:
                yield x.fill


def _reached(code: Code) -> Code:
    """Without what stands behind the end of a program, or a jump, and is the target of none."""
    while True:
        targets = {x for item in code if isinstance(item, Line) for x in item.operands if isinstance(x, Label)}
        out: Code = []
        open_ = True
        for item in code:
            if isinstance(item, Label):
                open_ = open_ or item in targets
            if open_:
                out.append(item)
            if isinstance(item, Line) and item.name in ("jump", "halt"):
                open_ = False
        if len(out) == len(code):
            return out
        code = out


def _stretches(code: Code) -> Iterator[Code]:
    """Straight code, cut behind jumps and ends and before labels."""
    cuts = [0]
    for i, item in enumerate(code):
        if isinstance(item, Label):
            cuts.append(i)
        if isinstance(item, Label) or item.name.startswith("jump") or item.name == "halt":
            cuts.append(i + 1)
    for low, high in pairwise([*cuts, len(code)]):
        if low < high:
            yield code[low:high]


# --- one stretch -------------------------------------------------------------------------------------------------------------


def _parted(stretch: Code, machine: Npu, everything: Code) -> Code:
    """A stretch that ends the program, its store in parts."""
    lines = _in_place([line for line in stretch if isinstance(line, Line)], everything)
    parts, chain = _chain(lines, machine)
    if not chain:
        return [*lines]
    write = Resident(machine, Plan(0, 0))
    chosen = set(map(id, chain))
    for line in lines[:-1]:
        if id(line) not in chosen:
            write.code.append(line)
    shape = _stored(chain[-1]).shape
    count = shape[0] // parts
    for start in range(0, shape[0], count):
        for line in chain:
            write.loc = line.loc
            operands = [_rows(write, line, x, shape, start, start + count) for x in line.operands]
            if is_grouped(line):
                write.vector(line.custom or line.name, *operands)
            else:
                write.code.append(replace_operands(line, operands))
    return [*write.code, lines[-1]]


def _in_place(lines: list[Line], everything: Code) -> list[Line]:
    """Without copies around products: a copy of the sums, what adds to it, and it back again."""
    uses: dict[Buffer, int] = {}
    for item in everything:
        for v in views(item) if isinstance(item, Line) else ():
            uses[v.buffer] = uses.get(v.buffer, 0) + 1
    out = list(lines)
    for line in lines:
        if line.name != "mm":
            continue
        to = views(line)[0]
        around = [x for x in out if x.name == "accwr" and to.buffer in [v.buffer for v in views(x)]]
        if len(around) != 2 or uses.get(to.buffer) != 3 or not to.is_whole():
            continue
        (copy, sums), (back, copied) = (views(x) for x in around)
        order = [out.index(x) for x in (around[0], line, around[1])]
        same = sums.buffer is back.buffer and sums.buffer.space == ACC and sums.buffer.nbytes == to.buffer.nbytes
        between = [v.buffer for x in out[order[0] + 1 : order[2]] for v in views(x) if x is not line]
        if order == sorted(order) and same and sums.buffer not in between and all(v.is_whole() for v in (copy, sums, back, copied)):
            added = replace_operands(line, [replace(to, buffer=sums.buffer), *line.operands[1:]])
            out = [added if x is line else x for x in out if x not in around]
    return out


def _chain(lines: list[Line], machine: Npu) -> tuple[int, list[Line]]:
    """In how many parts, and the lines that can go row by row up to the last store; none if it is not worth it."""
    stores = [i for i, line in enumerate(lines) if line.name == "dst" and line.when is None]
    if not stores or any(not _is_light(line) for line in lines[stores[-1] + 1 : -1]):
        return 1, []
    chain = [lines[stores[-1]]]
    shape = _stored(chain[0]).shape
    ahead: list[Line] = []
    for line in reversed(lines[: stores[-1]]):
        if _goes_by_rows(line, shape) and all(_may_swap(line, other) for other in ahead):
            chain.insert(0, line)
        elif _may_go_ahead(line):
            ahead.append(line)
        else:
            break
    while len(chain) > 1 and not _independent(chain, shape):
        chain.pop(0)
    count = _worthwhile(chain, shape, machine)
    return (count, chain) if count > 1 and len(chain) > 1 else (1, [])


def _is_light(line: Line) -> bool:
    """Whether it is the scalar unit's own, and takes no part in memories."""
    known = line.instruction
    return known is not None and known.unit == "S" and not known.traits and not views(line) and line.name != "halt"


def _may_go_ahead(line: Line) -> bool:
    """Whether a line that stands among the chain may come before it if it touches nothing of it."""
    known = line.instruction
    return known is not None and "dram_write" not in known.traits


def _may_swap(line: Line, later: Line) -> bool:
    """Whether a line of the chain may come after one that stands behind it."""
    return set(_written(later)).isdisjoint(_named(line)) and set(_written(line)).isdisjoint(_named(later))


def _written(line: Line) -> Iterator[Reg | Buffer]:
    """The registers and buffers that a line changes."""
    for x, role in zip(line.operands, roles(line), strict=True):
        if role != "read" and isinstance(x, Reg | View):
            yield x if isinstance(x, Reg) else x.buffer


def _stored(line: Line) -> Box:
    (box,) = (x for x in line.operands if isinstance(x, Box))
    return box


def _goes_by_rows(line: Line, shape: tuple[int, ...]) -> bool:
    """Whether some rows of a line's result need only the same rows of what it reads."""
    if not shape or line.when is not None:
        return False
    if line.name == "mm":
        return len(shape) == 2 and views(line)[0].shape == shape
    known = line.instruction
    if not is_grouped(line) or line.name == "viota" or known is None or known.traits:
        return False
    return all(_shaped(v, shape) is not None for v in views(line))


def _independent(chain: list[Line], shape: tuple[int, ...]) -> bool:
    """Whether no part reads what another one writes: what the chain writes, it only touches row by row."""
    written = {x for line in chain[:-1] for x in _written(line)}
    maps: dict[Buffer, Map] = {}
    for line in chain:
        for number, v in enumerate(views(line)):
            if v.buffer not in written:
                continue
            if line.name == "mm" and number:
                return False
            shaped = _shaped(v, shape)
            assert shaped is not None
            if maps.setdefault(v.buffer, (v.offset, shaped.strides, v.moved)) != (v.offset, shaped.strides, v.moved):
                return False
            if shaped.strides[0] == 0 and shape[0] > 1:
                return False
    return True


def _worthwhile(chain: list[Line], shape: tuple[int, ...], machine: Npu) -> int:
    """In how many parts: each is a long transfer, and a product of at least as many rows as the matrix unit has."""
    if not shape:
        return 1
    cycles = math.prod(shape) * _stored(chain[-1]).dtype.itemsize / min(machine.dma_bytes_per_cycle, machine.dram_bytes_per_cycle)
    least = max(machine.matrix_rows, machine.matrix_min_rows) if any(line.name == "mm" for line in chain) else 1
    for count in range(MOST, 1, -1):
        if shape[0] % count == 0 and shape[0] // count >= least and cycles / count >= LONG * machine.dram_latency:
            return count
    return 1


def _rows(write: Resident, line: Line, x: Operand, shape: tuple[int, ...], start: int, stop: int) -> Operand:
    """Some rows of an operand; the right factor of a product stays whole."""
    if not isinstance(x, View | Box) or line.name == "mm" and x is line.operands[2]:
        return x
    shaped = x if isinstance(x, Box) or line.name == "mm" else _shaped(x, shape)
    assert shaped is not None
    return write.part(shaped, 0, start, stop)


def _shaped(view: View, shape: tuple[int, ...]) -> View | None:
    """The same elements in the shape of what is stored; None if that takes a copy, or they are others."""
    if view.shape == shape:
        return view
    return view.reshape(shape) if view.size == math.prod(shape) else None
