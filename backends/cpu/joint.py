"""Products of bytes: instructions that add several of them to each sum at once, and how operands must lie for these.

Pairs: both operands become 16-bit integers, of which two neighbours along k share an element. Quads: four bytes share one, but
one side must be without a sign and the other with one. So B is moved by half of the range, which flips its highest bits: of signed
bytes b it is b + 128, of unsigned ones b - 128. Too much by 128 times a sum over A, or too little, is what then comes out; the same
is what the instruction makes of A and a B of zeros, and that is taken from the sums beforehand. All this is exact modulo 2**32.
"""

from __future__ import annotations

from tiledsl.ir.core import Op
from tiledsl.ir.types import DType, dtype_of, i8, i16, i32, u8
from tiledsl.record import Record

from .emit import Builder
from .machine import HostMachine
from .types import Kind, vector

Table = dict[tuple[int, str], str]  # by 32-bit lanes and feature of the machine: what it is called

PAIRS: Table = {  # multiply 16-bit integers and add neighbours; LLVM joins the sum, where it can
    (4, "+sse2"): "llvm.x86.sse2.pmadd.wd",
    (8, "+avx2"): "llvm.x86.avx2.pmadd.wd",
    (16, "+avx512bw"): "llvm.x86.avx512.pmaddw.d.512",
}
QUADS: Table = {  # multiply bytes without and with signs, add four neighbours and the sum
    (4, "+avxvnni"): "llvm.x86.avx512.vpdpbusd.128",
    (8, "+avxvnni"): "llvm.x86.avx512.vpdpbusd.256",
    (4, "+avx512vnni"): "llvm.x86.avx512.vpdpbusd.128",
    (8, "+avx512vnni"): "llvm.x86.avx512.vpdpbusd.256",
    (16, "+avx512vnni"): "llvm.x86.avx512.vpdpbusd.512",
}
ZEROS = -0x7F7F7F80  # four bytes 0x80: what quads see in place of zeros in B
LEAST = 4  # lanes of the narrowest instruction


class Joint(Record):
    """How many products an instruction adds to each sum, and the type of the elements of A that it wants."""

    count: int
    left: DType
    names: dict[int, str]  # of the instruction, by lanes

    @property
    def moved(self) -> bool:
        """Whether B is moved by half of its range."""
        return self.count == 4

    def lanes(self, elements: int) -> int:
        """The lanes of the widest instruction that so many elements fill some times."""
        return max((n for n in self.names if elements % n == 0), default=0)

    def add(self, b: Builder, kind: Kind, x: str, y: str, total: str) -> str:
        """total plus the products of elements x of A and y of B."""
        name = self.names[kind.lanes]
        if self.moved:  # the operand without signs comes first
            first, second = (y, x) if self.left.is_signed else (x, y)
            return b.call(kind.text, name, (kind.text, total), (kind.text, first), (kind.text, second))
        halves = vector("i16", 2 * kind.lanes)
        split = [(halves, b.value(f"bitcast {kind.text} {v} to {halves}")) for v in (x, y)]
        return b.value(f"add {kind.text} {total}, {b.call(kind.text, name, *split)}")


def joint_of(machine: HostMachine, op: Op) -> Joint | None:
    """How a product of bytes is best computed on this machine; None for other products, and without such instructions."""
    a, _, acc = op.operands
    exact = a.type.elem in (i8, u8) and dtype_of(acc.type) is i32  # and so is b's, by the rules of the op
    features, most = machine.features.split(","), machine.lanes()
    for count, table, left in (4, QUADS, dtype_of(a.type)), (2, PAIRS, i16):
        names = {lanes: name for (lanes, feature), name in table.items() if feature in features and lanes <= most}
        steps = LEAST * count if count == 4 else count  # sums over A are taken in vectors
        if exact and names and a.type.shape[-1] % steps == 0:
            return Joint(count, left, names)
    return None
