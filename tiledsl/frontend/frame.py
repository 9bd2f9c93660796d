"""One function on its way to tile ops: its names, the block being filled, and where in the source we are."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..errors import CompilationError, TileError, TypeRuleError
from ..ir.core import Block, Builder, Value
from ..ir.types import Pointer, Tile, i64
from ..location import Loc
from ..messages import Message
from .carry import Undefined
from .function import JITFunction
from .syntax import location


@dataclass
class Said:
    """What the kernel being built may say while it runs, and the parameter that receives it."""

    debug: bool = False
    buffer: Value | None = None
    messages: list[Message] = field(default_factory=list)


Handler = Callable[["Frame", Any], Any]
EXPRESSIONS: dict[type[ast.AST], Handler] = {}
STATEMENTS: dict[type[ast.AST], Handler] = {}
DEEPEST_CALL = 100


@dataclass(frozen=True)
class Returned:
    """The value a statement returned from the function, and where."""

    value: Any
    loc: Loc | None = None


def expression(*kinds: type[ast.AST]) -> Callable[[Handler], Handler]:
    """Declare the handler of an expression: (frame, node) -> its value."""
    return lambda handler: [EXPRESSIONS.setdefault(kind, handler) for kind in kinds][0]


def statement(*kinds: type[ast.AST]) -> Callable[[Handler], Handler]:
    """Declare the handler of a statement: (frame, node) -> None, or Returned."""
    return lambda handler: [STATEMENTS.setdefault(kind, handler) for kind in kinds][0]


class Frame:
    """The context of one function body; builtins receive it first."""

    inliner: Callable[..., Any]  # set by calls.py, which needs frames itself

    def __init__(self, function: JITFunction, build: Builder, names: dict[str, Any], called_from: Loc | None = None, depth: int = 0):
        self.function, self.build, self.names = function, build, names
        self.called_from, self.depth = called_from, depth
        self.lanes: tuple[int, ...] | None = None  # of a scalar function run on tiles: their shape
        self.node: ast.AST = function.tree
        self.said = Said()
        self.constants: set[str] = set()  # names declared `x: tl.constexpr` before they are assigned

    # --- source

    def loc(self, node: ast.AST) -> Loc:
        """The place of a node, with the calls that led here."""
        return location(self.function, node, self.called_from)

    def at(self, node: ast.AST) -> Frame:
        """From now on ops belong to this node."""
        self.node = node
        self.build.loc = self.loc(node)
        return self

    def error(self, node: ast.AST, message: str, *, notes: Sequence[str] = (), help: str = "") -> CompilationError:
        """An error at a node."""
        return CompilationError(message, self.loc(node), notes=notes, help=help)

    def too_deep(self, otherwise: str, help: str) -> TypeRuleError:
        """An error without a place: that a function calls itself without end, if it does."""
        name = self.function.name
        turns = sum(place.function == name for place in self.called_from.chain()) if self.called_from else 0
        if turns < 2:
            return TypeRuleError(otherwise, help=help)
        help = "recursion ends by a condition that is known when compiling, on a tl.constexpr parameter; else write a loop"
        return TypeRuleError(f"recursion without end: `{name}` is called by itself {turns} times", help=help)

    # --- evaluation

    def evaluate(self, node: ast.AST) -> Any:
        """The value of an expression."""
        handler = EXPRESSIONS.get(type(node))
        if handler is None:
            raise self.error(node, f"{type(node).__name__} is not supported in a kernel")
        return self._guarded(handler, node)

    def execute(self, statements: Sequence[ast.stmt]) -> Returned | None:
        """Run statements; what they returned, if they did. A statement with a `tail` handler sees the rest."""
        for i, node in enumerate(statements):
            handler = STATEMENTS.get(type(node))
            if handler is None:
                raise self.error(node, f"{type(node).__name__} is not supported in a kernel")
            if isinstance(node, ast.If):
                out, finished = handler(self, (node, statements[i + 1 :]))
                if finished:
                    return out
            elif (out := self._guarded(handler, node)) is not None:
                return out
        return None

    def _guarded(self, handler: Handler, node: ast.AST) -> Any:
        try:
            return handler(self, node)
        except TileError as error:
            raise error.at(self.loc(node)) from error.__cause__
        except (ArithmeticError, ValueError, TypeError, AttributeError, IndexError, MemoryError) as error:
            # compile-time values are computed by Python, and so may fail as Python does
            help = "this was computed while compiling: tl.static_print(...) shows such values"
            raise self.error(node, f"{type(error).__name__}: {error}", help=help) from error
        except RecursionError:
            raise self.too_deep("the expression is nested too deeply", "give parts of it names of their own").at(self.loc(node)) from None

    # --- what builtins ask for

    @property
    def debug(self) -> bool:
        """Whether assertions are compiled in."""
        return self.said.debug

    def message(self, message: Message) -> tuple[Value, int]:
        """The buffer for what the kernel says, and the number of this message in it."""
        if self.said.buffer is None:
            self.said.buffer = Value(Tile(Pointer(i64)), "messages")
        self.said.messages.append(message)
        return self.said.buffer, len(self.said.messages)

    def call(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> Any:
        """Inline a jit function here."""
        return self.inliner(self, function, args, kwargs or {})

    def call_per_lane(self, function: Any, args: Sequence[Any], shape: tuple[int, ...]) -> Any:
        """Inline a function of scalars on tiles of a shape; its control flow is followed lane by lane."""
        before, self.lanes = self.lanes, shape
        try:
            return self.inliner(self, function, args, {})
        finally:
            self.lanes = before

    def nested(self, types: Iterable[Tile]) -> Frame:
        """A frame like this one that fills a new block with arguments of these types."""
        inner = self.build.nested([Value(t) for t in types])
        frame = Frame(self.function, inner, dict(self.names), self.called_from, self.depth)
        frame.node, frame.constants, frame.lanes, frame.said = self.node, self.constants, self.lanes, self.said
        return frame

    @contextmanager
    def block(self, types: Iterable[Tile]) -> Iterator[Block]:
        """Fill a new block with arguments of these types; names assigned meanwhile are forgotten afterwards."""
        build, names = self.build, self.names
        self.build = build.nested([Value(t) for t in types])
        self.names = dict(names)
        try:
            yield self.build.block
        finally:
            self.build, self.names = build, names

    # --- names

    def assign(self, name: str, value: Any) -> None:
        """Bind a name; a tile without a name takes it."""
        if isinstance(value, Value) and not value.name:
            value.name = name
        self.names[name] = value

    def forget(self, names: Iterable[str], reason: str) -> None:
        """Mark names as undefined, where they mean nothing yet."""
        for name in names:
            if name not in self.names or isinstance(self.names[name], Undefined):
                self.names[name] = Undefined(reason)
