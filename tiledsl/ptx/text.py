"""PTX as text: declarations of registers, and instructions one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..errors import UnsupportedSyntax

Operand = str | tuple[str, ...]  # a name or a number, or several in braces

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
TOKEN = re.compile(r"[{};,\[\]@!|]|[^\s{};,\[\]@!|]+")


@dataclass(frozen=True)
class Instruction:
    """`@p add.f32 $0, $1, $2;`"""

    name: str
    parts: tuple[str, ...]  # what follows the name, dot by dot
    operands: tuple[Operand, ...]
    guard: str = ""  # the predicate under which it happens
    unless: bool = False  # or: under which it does not

    def __str__(self) -> str:
        return ".".join((self.name, *self.parts))


@dataclass
class _Reader:
    tokens: list[str]
    types: dict[str, str] = field(default_factory=dict)  # of the registers that are declared
    scopes: list[dict[str, str]] = field(default_factory=lambda: [{}])  # what they are called, block by block
    at: int = 0

    def next(self) -> str:
        if self.at == len(self.tokens):
            raise UnsupportedSyntax("inline assembly ends within an instruction", help="end each with `;`")
        self.at += 1
        return self.tokens[self.at - 1]

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def instructions(self) -> Iterator[Instruction]:
        while self.at < len(self.tokens):
            token = self.next()
            if token == "{":
                self.scopes.append({})
            elif token == "}":
                if len(self.scopes) == 1:
                    raise UnsupportedSyntax("inline assembly closes a brace that it did not open")
                self.scopes.pop()
            elif token == ".reg":
                self.declare()
            elif token != ";":
                yield self.instruction(token)

    def declare(self) -> None:
        """`.reg .b32 a, b<4>;` declares a, b0, b1, b2 and b3, until the end of the block."""
        type = self.next().lstrip(".")
        while True:
            name, _, count = self.next().rstrip(">").partition("<")
            for declared in [f"{name}{i}" for i in range(int(count))] if count else [name]:
                unique = f"{declared} {len(self.types)}"
                self.scopes[-1][declared] = unique
                self.types[unique] = type
            if self.next() != ",":
                return

    def instruction(self, token: str) -> Instruction:
        guard, unless = "", False
        if token == "@":
            unless = self.peek() == "!"
            self.at += unless
            guard, token = self.known(self.next()), self.next()
        if token.endswith(":"):
            raise UnsupportedSyntax(f"inline assembly with labels and jumps cannot run here: `{token}`", help=INSTEAD)
        name, *parts = token.split(".")
        operands: list[Operand] = []
        while self.peek() != ";":
            operands.append(self.operand())
            if self.peek() != ",":
                break
            self.at += 1
        if (end := self.next()) != ";":
            raise UnsupportedSyntax(f"`{end}` in inline assembly is not understood, after `{token}`")
        return Instruction(name, tuple(parts), tuple(operands), guard, unless)

    def operand(self) -> Operand:
        token = self.next()
        if token == "[":
            raise UnsupportedSyntax(
                "inline assembly that reads or writes memory cannot run here", help="use tl.load, tl.store and tl.atomic_*"
            )
        if token == "!":
            return "!" + self.known(self.next())
        if token != "{":
            return self.known(token)
        names = []
        while (token := self.next()) != "}":
            if token != ",":
                names.append(self.known(token))
        return tuple(names)

    def known(self, name: str) -> str:
        """A name as it is declared in the innermost block that does; what is not declared is an operand or a number."""
        return next((scope[name] for scope in reversed(self.scopes) if name in scope), name)


INSTEAD = "write it with functions of tl and libdevice, for example behind a tl.constexpr flag"


def read(text: str) -> tuple[list[Instruction], dict[str, str]]:
    """The instructions of a text, and the types of the registers that it declares."""
    reader = _Reader(TOKEN.findall(COMMENT.sub(" ", text)))
    return list(reader.instructions()), reader.types
