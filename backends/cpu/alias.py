"""Which stores may touch what a load reads."""

from __future__ import annotations

from tiledsl.ir.core import Block, Kernel, Op, Value
from tiledsl.ir.types import Pointer, Tile, i64

NOWHERE = Value(Tile(i64), "nowhere")  # the root of an address that is no parameter's: any two of these may be one
WRITES = ("store", "store_block", "atomic_rmw", "atomic_cas")


class Aliases:
    """The parameters that every pointer may be derived from. `distinct`: written arguments overlap no other argument."""

    def __init__(self, kernel: Kernel, distinct: bool):
        self.distinct = distinct
        self.everything = frozenset([NOWHERE, *(a for a in kernel.body.args if isinstance(a.type.elem, Pointer))])
        self.roots: dict[Value, frozenset[Value]] = {a: frozenset([a]) for a in self.everything}
        self._visit(kernel.body)

    def _visit(self, block: Block) -> None:
        for op in block.ops:
            for inner, initial in _entering(op):
                # what a loop carries may change its root on the way round, so it may be anything it could become
                if isinstance(inner.type.elem, Pointer):
                    self.roots[inner] = self._of(initial) if _keeps_root(op, inner) else self.everything
            for body in op.blocks:
                self._visit(body)
            for position, result in enumerate(op.results):
                if isinstance(result.type.elem, Pointer):
                    self.roots[result] = self._result(op, position)

    def _of(self, value: Value) -> frozenset[Value]:
        return self.roots.get(value, self.everything)

    def _result(self, op: Op, position: int) -> frozenset[Value]:
        if op.blocks:
            sources = [b.yields[position] for b in op.blocks if position < len(b.yields)]
            if op.spec.name == "while":
                sources = [op.blocks[1].yields[position]]
            if op.spec.name in ("for", "while"):
                sources.append(op.operands[position + (3 if op.spec.name == "for" else 0)])
        elif op.spec.name in ("load", "load_block", "pointer", "bitcast", "constant", "cast"):
            return self.everything  # an address from nowhere
        else:
            sources = [v for v in op.operands if isinstance(v.type.elem, Pointer)]
        return frozenset().union(*(self._of(v) for v in sources)) if sources else self.everything

    def conflict(self, read: Op, write: Op) -> bool:
        """Whether the write may touch memory that the load reads."""
        a, b = self._of(read.operands[0]), self._of(write.operands[0])
        if not self.distinct:
            return True
        return bool(a & b)


def _entering(op: Op) -> list[tuple[Value, Value]]:
    """(block argument, the operand it starts as) of the loops' blocks."""
    if op.spec.name == "for":
        return list(zip(op.blocks[0].args[1:], op.operands[3:], strict=True))
    if op.spec.name == "while":
        return [pair for block in op.blocks for pair in zip(block.args, op.operands, strict=True)]
    return []


def _keeps_root(op: Op, arg: Value) -> bool:
    """Whether a carried pointer only ever moves by offsets."""
    body = op.blocks[-1]
    args = body.args[1:] if op.spec.name == "for" else body.args
    for block in op.blocks:
        inside = block.args[1:] if op.spec.name == "for" else block.args
        if arg in inside:
            position = inside.index(arg)
            value: Value = body.yields[position]
            while value.source is not None and value.source.spec.name == "offset":
                value = value.source.operands[0]
            return value is args[position]
    return False


def written(kernel: Kernel) -> list[int]:
    """Positions of the parameters that the kernel may write through."""
    aliases = Aliases(kernel, True)
    roots = frozenset().union(
        *(aliases.roots.get(op.operands[0], aliases.everything) for op in kernel.body.walk() if op.spec.name in WRITES)
    )
    return [i for i, arg in enumerate(kernel.body.args) if arg in roots]


def same_elements(read: Op, write: Op) -> bool:
    """Whether two block accesses give every index the same address, and no two indices one address."""
    if read.spec.name != "load_block" or write.spec.name != "store_block":
        return False
    shape = write.operands[1].type.shape
    if read.attrs["shape"] != shape or read.operands[0] is not write.operands[0]:
        return False
    strides = [
        (constant(r), constant(w), r is w)
        for r, w in zip(read.operands[1 : 1 + len(shape)], write.operands[2 : 2 + len(shape)], strict=True)
    ]
    if not all(known is not None and known == other for known, other, _ in strides):
        return False
    return apart([(s[0], n) for s, n in zip(strides, shape, strict=True)])


def apart(axes: list[tuple[int | None, int]]) -> bool:
    """Whether (stride, extent) axes give every index an address of its own."""
    reach = 0
    for stride, extent in sorted((abs(s), n) for s, n in axes if s is not None and n > 1):
        if stride <= reach:
            return False
        reach += stride * (extent - 1)
    return all(s is not None or n == 1 for s, n in axes)


def constant(value: Value) -> int | None:
    """The number a scalar is known to be."""
    source = value.source
    return source.attrs["value"] if source is not None and source.spec.name == "constant" and not value.type.shape else None
