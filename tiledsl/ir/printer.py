"""Kernel -> text; generic over the declarations, no op has code here."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # core prints itself, so it imports this file
    from .core import Block, Kernel, Op, Value


def show(kernel: Kernel, *, locations: bool = False) -> str:
    """The text of a kernel; `parse` reads it back. With locations, each op's source line follows as a comment."""
    return _Printer(locations).kernel(kernel)


class _Printer:
    def __init__(self, locations: bool):
        self.locations = locations
        self.names: dict[Value, str] = {}
        self.taken: set[str] = set()
        self.tried: dict[str, int] = {}  # how many names each base has had: unrolled loops have thousands

    def kernel(self, kernel: Kernel) -> str:
        params = ", ".join(self.binding(v) + _facts(v) for v in kernel.body.args)
        return "\n".join([f"kernel @{kernel.name}({params}) {{", *self.block(kernel.body, "  "), "}"]) + "\n"

    def block(self, block: Block, pad: str) -> Iterator[str]:
        for op in block.ops:
            line = pad + self.op(op) + (" {" if op.blocks else "")
            yield f"{line}  ; {op.loc}" if self.locations and op.loc else line
            for inner in op.blocks:
                yield f"{pad}^({', '.join(map(self.binding, inner.args))}):"
                yield from self.block(inner, pad + "  ")
            if op.blocks:
                yield pad + "}"

    def op(self, op: Op) -> str:
        parts = [op.spec.name]
        if op.operands:
            parts.append(", ".join(map(self.name, op.operands)))
        if op.attrs:
            parts.append("{" + ", ".join(f"{k}={show_attribute(v)}" for k, v in op.attrs.items()) + "}")
        made = f"{', '.join(map(self.binding, op.results))} = " if op.results else ""
        return made + " ".join(parts)

    def binding(self, value: Value) -> str:
        return f"{self.name(value)}: {value.type}"

    def name(self, value: Value) -> str:
        """The value's own name, made unique; a number for one without."""
        if value not in self.names:
            base = value.name or str(len(self.names))
            k = self.tried.get(base, 0)
            name = f"{base}_{k}" if k else base
            while name in self.taken:
                k += 1
                name = f"{base}_{k}"
            self.tried[base] = k + 1
            self.taken.add(name)
            self.names[value] = name
        return "%" + self.names[value]


def _facts(param: Value) -> str:
    return f" {{divisible={param.divisible}}}" if param.divisible != 1 else ""


def show_attribute(value: Any) -> str:
    """An attribute as the parser reads it."""
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{','.join(map(str, value))}]"
    return repr(value) if isinstance(value, float) else str(value)


def show_types(types: Sequence[Any]) -> str:
    """Types as a message lists them."""
    return ", ".join(map(str, types))
