"""A complete backend in one file: an accelerator of 64-bit words, its compiler and its simulator, running ready-made kernels.

The machine, "slate": 255 registers that hold a tile each, a scalar, a vector and a matrix unit, and a DMA engine with a
stride and bounds per axis. What you would change for yours: the instructions, the rules, the costs.
"""

import itertools
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from tiledsl.backend import registry
from tiledsl.backend.base import Buffer, Program, Report
from tiledsl.backend.isa import Field, InstructionSet, pack, unpack
from tiledsl.errors import Unsupported
from tiledsl.ir.spec import SPECS
from tiledsl.ir.types import DTYPES, Pointer, Tile
from tiledsl.kernels.matmul import matmul
from tiledsl.kernels.running_sum import running_sum
from tiledsl.kernels.softmax import softmax, softmax_kernel
from tiledsl.machine import Machine
from tiledsl.memory import Memory
from tiledsl.ops.memory import split_block_operands
from tiledsl.passes import SHARED

REGISTERS, TILE_BYTES, LANES, MACS, BYTES_PER_CYCLE, LATENCY = 255, 16384, 64, 256, 32, 40
MACHINE = Machine("slate", vector_bytes=4 * LANES, memories={"registers": REGISTERS * TILE_BYTES})
TYPES = ("i1", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "f32")  # no bf16, no f64
ALU = "neg abs sqrt floor round not add sub mul div idiv rem maximum minimum and or xor shl shr eq ne lt le gt ge fma select".split()

ISA = InstructionSet("slate", bits=64)
NONE, CAST, BITCAST = 255, 0, 1
Reg = Annotated[int, Field("t", 8, count=REGISTERS, none=NONE)]
Function = Annotated[int, Field("", 5, names=tuple(ALU))]
Type = Annotated[int, Field("", 4, names=TYPES)]
How = Annotated[int, Field("", 1, names=("cast", "bitcast"))]
Axis = Annotated[int, Field("#", 1)]
Extent = Annotated[int, Field("#", 12)]
Number = Annotated[int, Field("#", 32, signed=True)]


class Core:
    """One program of the grid on the machine: instructions, with fields in the signature and meaning in the body; their cost."""

    def __init__(self, memory, arguments):
        self.memory, self.arguments, self.next, self.cycles = memory, arguments, 0, 0
        self.t, self.steps = [np.int32(0)] * REGISTERS, [(0, ())] * 2

    def run(self, code):
        while self.next < len(code):
            decoded = code[self.next]
            self.next += 1
            with np.errstate(all="ignore"):
                decoded.instruction.execute(self, *decoded.operands)
            self.cycles += self.cost(decoded.instruction, decoded.operands)
        return self.cycles

    def cost(self, instruction, operands):
        """Cycles, from the sizes of the tiles an instruction named; they never change a value."""
        named = dict(zip((name for name, _ in instruction.fields), operands, strict=True))
        size = max([self.t[named[name]].size for name in ("dst", "a") if name in named], default=1)
        depth = self.t[named["a"]].shape[1] if instruction.unit == "matrix" else 0
        costs = {"scalar": 1, "vector": size / LANES, "matrix": size * depth / MACS, "dma": LATENCY + 4 * size / BYTES_PER_CYCLE}
        return math.ceil(costs[instruction.unit])

    @ISA.instruction(0x01, unit="scalar")
    def argument(self, dst: Reg, index: Extent):
        """dst = the program's place on an axis of the grid (0, 1, 2), or an argument of the launch (3 ...)"""
        self.t[dst] = self.arguments[index]

    @ISA.instruction(0x02, unit="scalar")
    def immediate(self, dst: Reg, type: Type, number: Number):
        """dst = a number: its value for integers, its bits for f32"""
        self.t[dst] = np.int32(number).view(np.float32) if TYPES[type] == "f32" else DTYPES[TYPES[type]].numpy.type(number)

    @ISA.instruction(0x03, unit="vector")
    def count(self, dst: Reg, size: Extent, start: Extent):
        """dst = start, start + 1, ... as i32"""
        self.t[dst] = np.arange(start, start + size, dtype=np.int32)

    @ISA.instruction(0x04, unit="vector")
    def alu(self, function: Function, dst: Reg, a: Reg, b: Reg, c: Reg):
        """dst = function(a, b, c), element by element"""
        self.t[dst] = SPECS[ALU[function]].evaluate(*(self.t[r] for r in (a, b, c) if r != NONE))

    @ISA.instruction(0x05, unit="vector")
    def convert(self, dst: Reg, a: Reg, type: Type, how: How):
        """dst = a in another type: rounded or saturated (cast), or the same bits (bitcast)"""
        to = DTYPES[TYPES[type]]
        self.t[dst] = SPECS["cast"].evaluate(self.t[a], to=to) if how == CAST else np.asarray(self.t[a], order="C").view(to.numpy)

    @ISA.instruction(0x06, unit="vector")
    def shape(self, dst: Reg, a: Reg, rows: Extent, columns: Extent):
        """dst = a in another shape, repeated where it has too few elements"""
        extents = tuple(n for n in (rows, columns) if n)
        self.t[dst] = self.t[a].reshape(extents) if self.t[a].size == math.prod(extents) else np.broadcast_to(self.t[a], extents)

    @ISA.instruction(0x07, unit="vector")
    def fold(self, function: Function, dst: Reg, a: Reg, axis: Axis):
        """dst = a combined along an axis, in the order that the language prescribes"""
        lift = SimpleNamespace(lifted=lambda combine, tiles: (combine(*tiles),))
        (self.t[dst],) = SPECS["reduce"].evaluate(lift, self.t[a], axis=axis, blocks=[SPECS[ALU[function]].evaluate])

    @ISA.instruction(0x08, unit="matrix")
    def mac(self, dst: Reg, a: Reg, b: Reg, total: Reg):
        """dst = total + a @ b, one fused multiply-add per step along k"""
        self.t[dst] = SPECS["dot"].evaluate(self.t[a], self.t[b], self.t[total])

    @ISA.instruction(0x10, unit="scalar")
    def axis(self, axis: Axis, stride: Reg, low: Reg, high: Reg):
        """The DMA engine steps by stride along an axis, and touches only low <= index < high"""
        self.steps[axis] = (self.t[stride], () if low == NONE else (self.t[low], self.t[high]))

    @ISA.instruction(0x11, unit="dma")
    def fetch(self, type: Type, dst: Reg, base: Reg, rows: Extent, columns: Extent, other: Reg):
        """dst = a block of memory; other, or 0, outside the bounds"""
        extents, more = tuple(n for n in (rows, columns) if n), [] if other == NONE else [self.t[other]]
        self.t[dst] = self.transfer("load_block", type, [base], more, len(extents), shape=extents, filled=bool(more))

    @ISA.instruction(0x12, unit="dma")
    def flush(self, type: Type, base: Reg, a: Reg):
        """A block of memory = a, inside the bounds"""
        self.transfer("store_block", type, [base, a], [], self.t[a].ndim)

    def transfer(self, op, type, registers, more, rank, **attrs):
        """A block access with the strides and bounds that were set."""
        strides, bounds = zip(*self.steps[:rank], strict=True) if rank else ((), ())
        operands = [*(self.t[r] for r in registers), *strides, *itertools.chain(*bounds), *more]
        attrs |= {"checked": tuple(d for d, bound in enumerate(bounds) if bound), "masked": False}
        return SPECS[op].evaluate(self, *operands, types=(Tile(Pointer(DTYPES[TYPES[type]])),), **attrs)

    @ISA.instruction(0x20, unit="scalar")
    def unless(self, condition: Reg, target: Extent):
        """Go on at another word if there is no condition, or it does not hold"""
        self.next = self.next if condition != NONE and self.t[condition] else target


ONE_FOR_ONE = {  # op: the instruction, and what it takes besides registers
    "program_id": ("argument", lambda op: [op.attrs["axis"]]),
    "arange": ("count", lambda op: [op.result.type.size, op.attrs["start"]]),
    "cast": ("convert", lambda op: [type_of(op.result), CAST]),
    "bitcast": ("convert", lambda op: [type_of(op.result), BITCAST]),
    "broadcast": ("shape", lambda op: extents(op.result)),
    "reshape": ("shape", lambda op: extents(op.result)),
    "dot": ("mac", lambda op: []),
}
RULES = ("constant", "offset", "reduce", "load_block", "store_block", "for")  # methods of Lowering


def require(condition, message):
    if not condition:
        raise Unsupported(message)


def type_of(value):
    name = "i64" if isinstance(value.type.elem, Pointer) else value.type.elem.name
    require(name in TYPES, f"slate has no {name}; it has {', '.join(TYPES)}")
    return TYPES.index(name)


def extents(value):
    return (0, 0, *value.type.shape)[-2:]


class Lowering:
    """The compiler: an op becomes one instruction, or has a rule here; `r` says which register holds which value."""

    def __init__(self):
        self.code, self.r, self.used = [], {}, 0

    def emit(self, name, *operands):
        self.code.append((name, operands))

    def define(self, value=None):
        """A register for a value, or for one that only the rule knows."""
        if value is not None:
            fits = value.type.size * value.type.elem.itemsize <= TILE_BYTES and value.type.rank <= 2 and type_of(value) >= 0
            require(fits, f"a register of slate holds a vector or matrix of {TILE_BYTES} bytes, not {value.type}")
        require(self.used < REGISTERS, f"all {REGISTERS} registers are in use")  # yours may free them: backend.registers
        self.r[value], self.used = self.used, self.used + 1
        return self.r[value]

    def block(self, block):
        """Lower the ops of a block; the registers of what it yields."""
        for op in block.ops:
            try:
                self.lower(op, op.spec.name)
            except Unsupported as error:
                raise error.at(op.loc) from None
        return [self.r[v] for v in block.yields]

    def lower(self, op, name):
        if name in RULES:
            getattr(self, f"lower_{name}")(op, *op.operands)
        elif name in ALU:
            self.emit("alu", ALU.index(name), self.define(op.result), *[*(self.r[v] for v in op.operands), NONE, NONE][:3])
        elif name in ONE_FOR_ONE:
            instruction, more = ONE_FOR_ONE[name]
            self.emit(instruction, self.define(op.result), *(self.r[v] for v in op.operands), *more(op))
        else:
            require(name == "yield", f"op {name}; slate has {', '.join(sorted([*RULES, *ONE_FOR_ONE, *ALU]))}")

    def lower_constant(self, op):
        value, result, real = op.attrs["value"], self.define(op.result), isinstance(op.attrs["value"], float)
        bits, kind = (int(np.float32(value).view(np.int32)), TYPES.index("f32")) if real else (value, type_of(op.result))
        self.emit("immediate", result, kind, bits)
        self.emit("convert", result, result, type_of(op.result), CAST)
        self.emit("shape", result, result, *extents(op.result))

    def lower_offset(self, op, pointer, by):
        size, steps = self.define(), self.define()
        self.emit("immediate", size, TYPES.index("i64"), pointer.type.elem.to.itemsize)
        self.emit("convert", steps, self.r[by], TYPES.index("i64"), CAST)
        self.emit("alu", ALU.index("mul"), steps, steps, size, NONE)
        self.emit("alu", ALU.index("add"), self.define(op.result), self.r[pointer], steps, NONE)

    def lower_reduce(self, op, x, *more):
        combine = op.blocks[0].ops[0].spec.name
        require(not more and len(op.blocks[0].ops) == 2 and combine in ALU, "slate folds one tile, with one function of its vector unit")
        self.emit("fold", ALU.index(combine), self.define(op.result), self.r[x], op.attrs["axis"])

    def set_axes(self, op, rest, rank, filled=False):
        """Tell the DMA engine about a block; where the value of what lies out of bounds is."""
        require(not op.attrs["masked"], "slate masks by bounds alone")
        strides, bounds, _, other = split_block_operands(rest, rank, op.attrs["checked"], False, filled)
        for d, stride in enumerate(strides):
            self.emit("axis", d, self.r[stride], *(self.r[v] for v in bounds[d]) if d in bounds else (NONE, NONE))
        return NONE if other is None else self.r[other]

    def lower_load_block(self, op, base, *rest):
        other = self.set_axes(op, rest, op.result.type.rank, op.attrs["filled"])
        self.emit("fetch", type_of(op.result), self.define(op.result), self.r[base], *extents(op.result), other)

    def lower_store_block(self, op, base, value, *rest):
        self.set_axes(op, rest, value.type.rank)
        self.emit("flush", type_of(value), self.r[base], self.r[value])

    def lower_for(self, op, low, high, step, *carried):
        require(step.source is not None and step.source.attrs.get("value", 0) > 0, "slate counts up, by a step that is known")
        index, *args = [self.define(v) for v in op.blocks[0].args]
        for register, value in zip((index, *args), (low, *carried), strict=True):
            self.emit("convert", register, self.r[value], type_of(value), CAST)
        start, more = len(self.code), self.define()
        self.emit("alu", ALU.index("lt"), more, index, self.r[high], NONE)
        self.emit("unless", more, 0)
        aside = [(self.define(), register, type_of(v)) for register, v in zip(self.block(op.blocks[0]), carried, strict=True)]
        for move in (*aside, *((to, register, kind) for to, (register, _, kind) in zip(args, aside, strict=True))):
            self.emit("convert", *move, CAST)  # by way of registers aside: what is carried may change places
        self.emit("alu", ALU.index("add"), index, index, self.r[step], NONE)
        self.emit("unless", NONE, start)
        self.code[start + 1] = ("unless", (more, len(self.code)))
        self.r.update(zip(op.results, args, strict=True))


class Slate:
    """The backend: five names."""

    name, machine, passes = "slate", MACHINE, SHARED

    def compile(self, kernel, options):
        lowering = Lowering()
        for i, parameter in enumerate(kernel.body.args):
            lowering.emit("argument", lowering.define(parameter), 3 + i)
        lowering.block(kernel.body)
        words = [ISA.encode(name, *operands) for name, operands in lowering.code]
        return Program(self.name, kernel.name, tuple(a.type for a in kernel.body.args), pack(words, 64), {"asm": ISA.disassemble(words)})

    def launch(self, program, grid, args, options):
        code = [ISA.decode(word) for word in unpack(program.binary, 64)]
        given = [np.int64(a.address) if isinstance(a, Buffer) else p.elem.numpy.type(a) for a, p in zip(args, program.params, strict=True)]
        memory = Memory([a for a in args if isinstance(a, Buffer)])
        cores = [Core(memory, [np.int32(x), np.int32(y), np.int32(z), *given]) for z, y, x in itertools.product(*map(range, grid[::-1]))]
        return Report(cycles=sum(core.run(code) for core in cores))


def main():
    registry.register(Slate())
    rng = np.random.default_rng(0)
    x, a, b = (rng.standard_normal(shape, np.float32) for shape in ((8, 300), (70, 90), (90, 50)))
    same = softmax(x, backend="slate").tobytes() == softmax(x, backend="interpreter").tobytes()
    same &= matmul(a, b, activation="gelu", backend="slate").tobytes() == matmul(a, b, activation="gelu", backend="interpreter").tobytes()
    print(f"softmax and gelu(a @ b) on slate: {'the' if same else 'NOT the'} interpreter's bits")
    launched = softmax_kernel[(8,)](np.empty_like(x), x, 300, BLOCK=512, backend="slate")
    print(f"softmax takes {launched.report.cycles} cycles; it begins", *launched.asm["asm"].splitlines()[:6], sep="\n    ")
    try:
        running_sum(x, backend="slate")
    except Unsupported as error:
        print(f"what the machine lacks is said with the user's line:\n{error}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
