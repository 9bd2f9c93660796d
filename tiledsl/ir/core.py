"""The tile IR: a Kernel holds a Block of Ops; an Op may own nested Blocks; Ops define Values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..beyond import LARGEST, Beyond
from ..errors import Diagnostic, TileError
from ..location import Loc
from .printer import show
from .spec import OpSpec, infer_results
from .types import Tile


@dataclass(eq=False)
class Value:
    """What an op makes or a block receives; identity is what counts."""

    type: Tile
    name: str = ""
    source: Op | None = None  # the op that made it; None for a block argument
    divisible: int = 1  # of a kernel parameter: its value (or address, in bytes) is a multiple of this

    def __repr__(self) -> str:
        return f"%{self.name or '?'}: {self.type}"


@dataclass(eq=False)
class Op:
    """One operation: what kind it is, what it uses, what it makes, and where the user wrote it."""

    spec: OpSpec
    operands: list[Value]
    attrs: dict[str, Any]
    results: list[Value]
    blocks: list[Block] = field(default_factory=list)
    loc: Loc | None = None

    @property
    def result(self) -> Value:
        """The only result."""
        (only,) = self.results
        return only

    def __repr__(self) -> str:
        made = ", ".join(map(repr, self.results))
        return f"{made} = {self.spec.name} {', '.join(map(repr, self.operands))} {self.attrs}"


@dataclass(eq=False)
class Block:
    """A sequence of ops with arguments; a nested block ends in `yield`."""

    args: list[Value] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)

    @property
    def yields(self) -> list[Value]:
        """What a nested block hands to the op that owns it."""
        last = self.ops[-1] if self.ops else None
        return last.operands if last is not None and "terminator" in last.spec.traits else []

    def walk(self) -> Iterator[Op]:
        """Every op, outer ones before those in their blocks."""
        for op in self.ops:
            yield op
            for block in op.blocks:
                yield from block.walk()


@dataclass(eq=False)
class Kernel:
    """A named block whose arguments are the parameters of a launch."""

    name: str
    body: Block
    messages: tuple[Any, ...] = ()  # of a fresh kernel: what it may say at run time; its last parameter receives it
    notes: tuple[Diagnostic, ...] = ()  # of a fresh kernel: what in it goes beyond Triton

    def __repr__(self) -> str:
        return show(self)


@dataclass(repr=False, eq=False)
class Builder:
    """Appends ops to a block; result types come from the typing rules."""

    block: Block
    loc: Loc | None = None  # for ops that are emitted without one
    beyond: Beyond = field(default_factory=Beyond)  # what the kernel uses that Triton does not have

    def emit(self, spec: OpSpec, *operands: Value, blocks: Sequence[Block] = (), loc: Loc | None = None, **attrs: Any) -> Any:
        """Append one op; returns its result, or a tuple when there is not exactly one."""
        loc = loc or self.loc
        try:
            types = infer_results(spec, [v.type for v in operands], attrs, blocks)
        except TileError as error:
            raise error.at(loc) from None
        if types and types[0].size > LARGEST:
            self.beyond.add_large(types[0].size, loc)
        new = Op(spec, list(operands), attrs, [], list(blocks), loc)
        new.results = [Value(t, source=new) for t in types]
        self.block.ops.append(new)
        return new.results[0] if len(types) == 1 else tuple(new.results)

    def nested(self, args: Sequence[Value] = ()) -> Builder:
        """A builder for a new block that will belong to a later op."""
        return Builder(Block(list(args)), self.loc, self.beyond)
