"""Text -> Kernel; generic over the declarations, no op has code here."""

from __future__ import annotations

import enum
import re
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import ParseError, nearest
from ..location import Loc
from .core import Block, Kernel, Op, Value
from .spec import SPECS, OpSpec
from .types import DTYPES, DType, Elem, Pointer, Tile

T = TypeVar("T")
TOKEN = re.compile(r"\s+|;[^\n]*|(?P<token>[%@][\w.$]+|-?\d+(?:\.\d*)?(?:e[+-]?\d+)?|-(?:inf|nan)|[A-Za-z_][\w.]*|[{}()\[\]:,=*^])")


def parse(text: str, file: str = "<text>") -> Kernel:
    """Read one kernel; ParseError names the line."""
    parser = _Parser(text, file)
    kernel = parser.kernel()
    parser.take("")
    return kernel


def parse_type(text: str) -> Tile:
    """Read one type, such as `*f32` or `i32[4,8]`."""
    parser = _Parser(text, "<type>")
    found = parser.type()
    parser.take("")
    return found


class _Parser:
    def __init__(self, text: str, file: str):
        self.text, self.file = text, file
        self.tokens = [*self.scan(), ("", len(text))]
        self.at = 0
        self.values: dict[str, Value] = {}

    def scan(self) -> typing.Iterator[tuple[str, int]]:
        at = 0
        while at < len(self.text):
            match = TOKEN.match(self.text, at)
            if match is None:
                raise self.error(f"unexpected character {self.text[at]!r}", at)
            if match.group("token"):
                yield match.group("token"), at
            at = match.end()

    def error(self, message: str, at: int, help: str = "") -> ParseError:
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1)
        return ParseError(message, Loc(self.file, line, column), help=help)

    def fail(self, message: str, help: str = "") -> ParseError:
        return self.error(message, self.tokens[self.at][1], help)

    # --- tokens

    def peek(self) -> str:
        return self.tokens[self.at][0]

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if expected is not None and token != expected:
            raise self.fail(f"expected {expected or 'the end'!r}, found {token or 'the end'!r}")
        if not token and expected is None:
            raise self.fail("the text ends too early")
        self.at += 1
        return token

    def accept(self, token: str) -> bool:
        if self.peek() != token:
            return False
        self.at += 1
        return True

    def many(self, item: Callable[[], T], close: str) -> list[T]:
        out: list[T] = []
        while self.peek() != close:
            if out:
                self.take(",")
            out.append(item())
        self.take(close)
        return out

    def integer(self) -> int:
        try:
            return int(self.peek())
        except ValueError:
            raise self.fail(f"expected an integer, found {self.peek()!r}") from None
        finally:
            self.at += 1

    # --- grammar

    def kernel(self) -> Kernel:
        self.take("kernel")
        name = self.take().removeprefix("@")
        self.take("(")
        body = Block(self.many(self.parameter, ")"))
        self.take("{")
        self.block(body)
        self.take("}")
        return Kernel(name, body)

    def parameter(self) -> Value:
        value = self.binding()
        if self.accept("{"):
            self.take("divisible")
            self.take("=")
            value.divisible = self.integer()
            self.take("}")
        return value

    def binding(self) -> Value:
        if not self.peek().startswith("%"):
            raise self.fail(f"expected a value, found {self.peek()!r}")
        name = self.take()[1:]
        self.take(":")
        value = Value(self.type(), "" if name[0].isdigit() else name)
        self.values[name] = value
        return value

    def dtype(self) -> DType:
        name = self.peek()
        if name not in DTYPES:
            raise self.fail(f"unknown element type {name!r}", nearest(name, list(DTYPES)))
        return DTYPES[self.take()]

    def type(self) -> Tile:
        if self.accept("*"):
            const = bool(self.accept("const"))
            elem: Elem = Pointer(self.dtype(), const)
        else:
            elem = self.dtype()
        return Tile(elem, tuple(self.many(self.integer, "]")) if self.accept("[") else ())

    def block(self, block: Block) -> None:
        while self.peek() not in ("}", "^"):
            block.ops.append(self.op())

    def op(self) -> Op:
        start = self.tokens[self.at][1]
        results = []
        if self.peek().startswith("%"):
            results.append(self.binding())
            while self.accept(","):
                results.append(self.binding())
            self.take("=")
        name = self.peek()
        if name not in SPECS:
            raise self.fail(f"unknown op {name!r}", nearest(name, list(SPECS)))
        spec = SPECS[self.take()]
        operands = self.operands()
        attrs = self.attributes(spec)
        blocks = self.blocks() if spec.blocks else []
        op = Op(spec, operands, attrs, results, blocks, self.error("", start).loc)
        for result in results:
            result.source = op
        return op

    def operands(self) -> list[Value]:
        uses: list[Value] = []
        while self.peek().startswith("%") and self.tokens[self.at + 1][0] != ":":
            name = self.peek()[1:]
            if name not in self.values:
                raise self.fail(f"%{name} is used before it is defined", nearest(name, list(self.values)))
            self.take()
            uses.append(self.values[name])
            if not self.accept(","):
                break
            if not self.peek().startswith("%"):
                raise self.fail(f"expected a value, found {self.peek()!r}")
        return uses

    def attributes(self, spec: OpSpec) -> dict[str, Any]:
        attrs: dict[str, Any] = {}
        is_block = spec.blocks and self.peek() == "{" and self.tokens[self.at + 1][0] == "^"
        if spec.attrs and not is_block and self.accept("{"):
            while self.peek() != "}":
                if attrs:
                    self.take(",")
                key = self.peek()
                if key not in spec.attrs:
                    raise self.fail(f"{spec.name} has no attribute {key!r}", nearest(key, list(spec.attrs)))
                self.take()
                self.take("=")
                attrs[key] = self.attribute(spec.attrs[key])
            self.take("}")
        return {key: attrs[key] for key in spec.attrs if key in attrs}

    def attribute(self, kind: Any) -> Any:
        if kind is Tile:
            return self.type()
        if kind is DType:
            return self.dtype()
        if typing.get_origin(kind) is tuple:
            self.take("[")
            return tuple(self.many(self.integer, "]"))
        text = self.take()
        try:
            return _read(kind, text)
        except (KeyError, ValueError):
            self.at -= 1
            raise self.fail(f"{text!r} is no {getattr(kind, '__name__', kind)}") from None

    def blocks(self) -> list[Block]:
        self.take("{")
        out = []
        while self.accept("^"):
            self.take("(")
            inner = Block(self.many(self.binding, ")"))
            self.take(":")
            self.block(inner)
            out.append(inner)
        self.take("}")
        return out


def _read(kind: Any, text: str) -> Any:
    if kind is bool:
        return {"true": True, "false": False}[text]
    if isinstance(kind, types.UnionType):  # int | float: what is written tells which
        return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(text)
    return kind(text)
