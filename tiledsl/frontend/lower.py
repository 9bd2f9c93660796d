"""From a jit function and a signature to a kernel of the tile IR."""

from __future__ import annotations

from typing import Any

from ..beyond import Beyond
from ..errors import CompilationError
from ..ir.core import Block, Builder, Kernel, Value
from . import calls, expressions, statements  # noqa: F401  (they declare the handlers that a Frame looks up)
from .frame import Frame
from .function import JITFunction
from .signature import Parameter, Signature
from .syntax import check


def lower_function(function: JITFunction, signature: Signature) -> Kernel:
    """The kernel of a function under a signature; its parameters are the signature's leaves."""
    check(function)
    body = Block()
    names = {p.name: _argument(p, body) for p in signature.parameters}
    frame = Frame(function, Builder(body, function.loc, Beyond(signature.strict)), names)
    frame.said.debug = signature.debug
    out = frame.execute(function.tree.body)
    if out is not None and out.value is not None:
        raise CompilationError(f"the kernel `{function.name}` returns a value", out.loc, help="store results through a pointer")
    if frame.said.buffer is not None:
        body.args.append(frame.said.buffer)
    return Kernel(function.name, body, tuple(frame.said.messages), frame.build.beyond.notes)


def _argument(parameter: Parameter, body: Block) -> Any:
    """What a parameter's name stands for: a value of the kernel, a compile-time value, or a tuple of such."""
    if parameter.type is not None:
        value = Value(parameter.type, parameter.name.replace(".", "_"), divisible=parameter.divisible)
        body.args.append(value)
        return value
    if parameter.elements:
        items = [_argument(p, body) for p in parameter.elements]
        kind = type(parameter.value)
        return kind(*items) if hasattr(kind, "_fields") else tuple(items)
    return parameter.value
