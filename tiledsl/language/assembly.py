"""PTX on tiles: elements into registers, the instructions, and registers into elements again."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..errors import TypeRuleError, UnsupportedSyntax, require
from ..ir.core import Value
from ..ir.types import DType, i1, u32
from ..numerics.term import Term
from ..ptx.instructions import perform
from ..ptx.registers import UNSIGNED, WIDE, Registers, as_type, bits_of, resized
from ..ptx.text import read
from . import coerce
from .core import Context, static_int, unwrap
from .creation import element
from .mapping import columns, woven


def elementwise(ctx: Context, asm: str, constraints: str, args: Any, types: Any, pack: Any) -> Any:
    """The results of PTX for all elements, `pack` neighbouring ones at a time."""
    build, count = ctx.build, static_int(pack)
    if count is None:
        raise TypeRuleError(f"pack is a compile-time int, got {coerce.describe(pack)}")
    elems = [element(unwrap(t)) for t in types] if isinstance(types, (tuple, list)) else [element(types)]
    tiles = [_number(coerce.tensor(build, a)) for a in args]
    tiles = list(coerce.broadcast(build, *tiles)) if tiles else []
    shape = tiles[0].type.shape if tiles else ()
    size = tiles[0].type.size if tiles else 1
    require(size % count == 0, f"{size} elements are no multiple of pack={count}")
    blank = Term(build, coerce.constant(build, 0, u32, shape if count == 1 else (size // count,)))
    registers, outputs = _operands(blank, [columns(build, t, count) for t in tiles], [t.bits for t in elems], constraints, count)
    instructions, declared = read(asm)
    registers.declared(declared)
    for step in instructions:
        perform(step, registers)
    found = []
    for elem, names in zip(elems, outputs, strict=True):
        parts = [part for name in names for part in _taken(registers.bits(name), elem, count // len(names))]
        whole = parts[0].value if count == 1 else build.emit(ops.reshape, woven(build, [p.value for p in parts]), shape=shape)
        found.append(whole)
    return tuple(found) if isinstance(types, (tuple, list)) else found[0]


def _number(tile: Value) -> Value:
    if isinstance(tile.type.elem, DType):
        return tile
    raise UnsupportedSyntax("inline assembly on pointers cannot run here", help="use tl.load, tl.store and tl.atomic_*")


def _operands(
    blank: Term, inputs: list[list[Value]], results: list[int], constraints: str, count: int
) -> tuple[Registers, list[list[str]]]:
    """The registers $0, $1, ... with what the inputs put into them, and those that each result is in. Elements of less than 32 bits
    share registers as far as `pack` goes."""
    letters = [c.strip() for c in constraints.split(",") if c.strip() and not c.strip().startswith("~")]
    widths = {f"${i}": WIDE.get(c.lstrip("=&+"), 32) for i, c in enumerate(letters)}
    registers, at = Registers(blank, dict(widths), {}), 0
    outputs: list[list[str]] = []

    def names(bits: int) -> list[str]:
        nonlocal at
        each = max(1, min(count, 32 // bits))
        at += -(-count // each)
        return [f"${i}" for i in range(at - -(-count // each), at)]

    for bits in results:
        outputs.append(names(max(bits, 8)))
    split = at
    for parts in inputs:
        terms = [_bits(Term(blank.build, part)) for part in parts]
        held = names(terms[0].elem.bits)
        each = count // len(held)
        for i, name in enumerate(held):
            if name not in widths:
                break
            total = resized(terms[i * each], widths[name])
            for k, term in enumerate(terms[i * each + 1 : (i + 1) * each], 1):
                total = total | (resized(term, widths[name]) << (k * term.elem.bits))
            registers.held[name] = total
            if (same := letters[int(name[1:])]).isdigit():  # begins in an output's register
                registers.held[f"${same}"] = total
    outs = sum(c.startswith(("=", "+")) for c in letters)
    if at != len(letters) or outs != split:
        raise TypeRuleError(
            f"the constraints {constraints!r} are of {outs} outputs and {len(letters) - outs} inputs; results and arguments fill "
            f"{split} and {at - split} registers",
        )
    return registers, outputs


def _bits(x: Term) -> Term:
    return x.cast(UNSIGNED[8]) if x.elem is i1 else bits_of(x)


def _taken(bits: Term, elem: DType, count: int) -> list[Term]:
    """Elements out of a register."""
    width = max(elem.bits, 8)
    fields = [resized(bits >> (i * width) if i else bits, width) for i in range(count)]
    return [f.differs(0) if elem is i1 else as_type(f, elem) for f in fields]
