"""Writing native functions: LLVM text by the CPU backend's builder, with loads, stores and early returns.

Every function takes the core, the record of its instruction, and its tile operands, and returns `layout.GO`, or FALL_BACK
before it has changed anything: then the reference interpreter carries the instruction out, or says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tiledsl.ir.types import DType, i1, u8, u16, u32, u64

from ....cpu.elementwise import elementwise, from_bits, to_bits
from ....cpu.emit import Builder, Scalar
from ....cpu.types import Kind, decoded, encoded, memory, vector
from . import layout
from .layout import Head, Record, Tile

PARAMETERS = "ptr %core, ptr %rec, ptr %t0, ptr %t1, ptr %t2, ptr %t3"
TILE_NAMES = ("%t0", "%t1", "%t2", "%t3")


class Function:
    """One native function under construction."""

    def __init__(self, name: str, parameters: str = PARAMETERS):
        self.name, self.parameters = name, parameters
        self.declared: set[str] = set()
        self.b = Builder(self.declared)
        self.slots: list[str] = []
        self.helpers: list[str] = []  # texts of internal functions
        self.labels = 0
        self.exits: set[int] = set()  # what it may return early

    # --- memory ------------------------------------------------------------------------------------------------------

    def at(self, pointer: str, offset: Scalar) -> str:
        """A pointer so many bytes further on."""
        return pointer if offset == 0 else self.b.value(f"getelementptr i8, ptr {pointer}, i64 {offset}")

    def word(self, pointer: str, index: int) -> str:
        """The word of a structure, as it is now."""
        return self.b.effect(f"load i64, ptr {self.at(pointer, index * layout.WORD)}, align 8")

    def set(self, pointer: str, index: int, value: Scalar) -> None:
        """Change a word of a structure."""
        self.b.line(f"store i64 {value}, ptr {self.at(pointer, index * layout.WORD)}, align 8")

    def operand(self, index: int) -> str:
        """An operand of the instruction."""
        return self.word("%rec", Record.OPERANDS + index)

    def read(self, kind: Kind, pointer: str) -> str:
        """A value from memory."""
        text = vector(memory(kind.elem), kind.lanes)
        return decoded(self.b, kind, self.b.effect(f"load {text}, ptr {pointer}, align 1"))

    def write(self, kind: Kind, pointer: str, value: str) -> None:
        """A value to memory."""
        stored = encoded(self.b, kind, value)
        self.b.line(f"store {vector(memory(kind.elem), kind.lanes)} {stored}, ptr {pointer}, align 1")

    def slot(self, text: str, count: int = 1) -> str:
        """Memory of the function's own."""
        name = f"%s{len(self.slots)}"
        self.slots.append(f"{name} = alloca [{count} x {text}], align 64")
        return name

    def register(self, index: int) -> str:
        """A scalar register that the instruction names."""
        return self.b.effect(f"load i64, ptr {self.at('%core', self.operand(index))}, align 8")

    def set_register(self, index: int, value: Scalar) -> None:
        """Change a scalar register that the instruction names."""
        self.b.line(f"store i64 {value}, ptr {self.at('%core', self.operand(index))}, align 8")

    # --- conditions -----------------------------------------------------------------------------------------------------

    def require(self, condition: str, otherwise: int = layout.FALL_BACK) -> None:
        """Return unless a condition holds."""
        here = self.fresh_label("ok")
        self.exits.add(otherwise)
        self.b.line(f"br i1 {condition}, label %{here}, label %return{otherwise}")
        self.b.label(here)

    def test(self, comparison: str, x: Scalar, y: Scalar) -> str:
        """A comparison of words."""
        return self.b.value(f"icmp {comparison} i64 {x}, {y}")

    def both(self, *conditions: str) -> str:
        """Whether all conditions hold."""
        found = conditions[0]
        for other in conditions[1:]:
            found = self.b.value(f"and i1 {found}, {other}")
        return found

    def either(self, *conditions: str) -> str:
        """Whether one of the conditions holds."""
        found = conditions[0]
        for other in conditions[1:]:
            found = self.b.value(f"or i1 {found}, {other}")
        return found

    def choose(self, condition: str, x: Scalar, y: Scalar) -> str:
        """One of two words."""
        return self.b.value(f"select i1 {condition}, i64 {x}, i64 {y}")

    def opposite(self, condition: str) -> str:
        """Whether a condition does not hold."""
        return self.b.value(f"xor i1 {condition}, true")

    def when(self, condition: str, body: Callable[[], None]) -> None:
        """Code that runs where a condition holds."""

        def then() -> list[str]:
            body()
            return []

        self.b.branch(condition, [], then, list)

    def fresh_label(self, name: str) -> str:
        """A name for a block."""
        self.labels += 1
        return f"{name}{self.labels}"

    def block(self, label: str) -> None:
        """Begin a block that more than one other leads to: what those have computed is not known in it."""
        self.b.label(label)
        self.b.regions[-1].known.clear()

    def done(self, status: Scalar = layout.GO, internal: bool = False) -> str:
        """End the function; its text, with what it declares and its helpers."""
        self.b.line(f"ret i64 {status}")
        for number in sorted(self.exits):
            self.b.line(f"return{number}:")
            self.b.line(f"ret i64 {number}")
        head = f"define {'internal ' * internal}i64 @{self.name}({self.parameters}) nounwind {{"
        body = [head, *self.slots, "br label %entry", "entry:", *self.b.finish(), "}", ""]
        return "\n".join([*sorted(self.declared), *self.helpers, *body])

    # --- tiles ------------------------------------------------------------------------------------------------------------

    def ask(self, what: int, *arguments: tuple[str, Scalar]) -> None:
        """Fall back unless a function that every core knows (checks.py) has nothing against it."""
        function = self.b.value(f"inttoptr i64 {self.word('%core', what)} to ptr")
        answer = self.b.effect(f"call i64 {function}({', '.join(f'{kind} {x}' for kind, x in arguments)})")
        self.require(self.test("eq", answer, layout.GO))

    def same_extents(self, one: str, other: str) -> None:
        """Fall back unless two tiles have one shape."""
        self.ask(Head.SHAPED, ("ptr", one), ("ptr", other))

    def harmless(self, to: str, source: str, in_place: bool = False) -> None:
        """Fall back unless writing a tile changes nothing of another that has still to be read: they lie apart, or are one."""
        self.ask(Head.APART, ("ptr", to), ("ptr", source), ("i64", int(in_place)))

    def spread(self, to: str, size: int) -> None:
        """Fall back if a tile to be written repeats elements."""
        self.ask(Head.SPREAD, ("ptr", to), ("i64", size))

    def rows(self, tiles: Sequence[str], body: Callable[[list[str]], None]) -> None:
        """Loops over all axes of tiles of one shape but the last; body gets where the rows begin."""
        starts = [self.word(t, Tile.DATA) for t in tiles]
        extents = [self.word(tiles[0], Tile.EXTENTS + axis) for axis in range(3)]
        strides = [[self.word(t, Tile.STRIDES + axis) for axis in range(3)] for t in tiles]

        def nest(axis: int, at: list[str]) -> None:
            if axis == 3:
                body([self.b.value(f"inttoptr i64 {x} to ptr") for x in at])
                return
            with self.b.loop(0, extents[axis], carried=[("i64", x) for x in at]) as loop:
                nest(axis + 1, loop.carried)
                loop.next = [self.b.effect(f"add i64 {x}, {steps[axis]}") for x, steps in zip(loop.carried, strides, strict=True)]

        nest(0, starts)


def raw(dtype: DType) -> DType:
    """The unsigned integer that is as wide as an element in memory."""
    return {1: u8, 2: u16, 4: u32, 8: u64}[dtype.itemsize]


def from_register(f: Function, dtype: DType, word: str) -> str:
    """The value that the low bits of a register stand for."""
    kind = Kind(dtype, 0)
    if dtype is i1:
        return f.b.value(f"icmp ne i8 {f.b.value(f'trunc i64 {word} to i8')}, 0")
    bits = word if dtype.bits == 64 else f.b.value(f"trunc i64 {word} to i{dtype.bits}")
    return from_bits(f.b, kind, bits)


def to_register(f: Function, dtype: DType, value: str) -> str:
    """A value as registers hold it: signed integers extend their sign, all others zeros."""
    bits = to_bits(f.b, Kind(dtype, 0), value)
    if dtype.bits == 64:
        return bits
    return f.b.value(f"{'sext' if dtype.is_signed else 'zext'} i{dtype.bits} {bits} to i64")


def apply(f: Function, name: str, to: DType, of: Sequence[DType], lanes: int, values: Sequence[str]) -> str:
    """An operation of the language on registers: rounded to its type, by the CPU backend's rules."""
    return elementwise(f.b, name, Kind(to, lanes), tuple(Kind(d, lanes) for d in of), *values)


def joined(texts: Iterable[str]) -> str:
    """One module of several: what they declare, once, and their functions."""
    lines = [line for text in texts for line in text.splitlines()]
    return "\n".join([*sorted({x for x in lines if x.startswith("declare")}), *(x for x in lines if not x.startswith("declare")), ""])
