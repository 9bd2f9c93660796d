"""From a function and a signature to a compiled kernel: the frontend, the passes, the backend."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from .. import config
from ..backend.base import Argument, Backend, Options
from ..frontend.function import JITFunction
from ..frontend.lower import lower_function
from ..frontend.signature import Signature
from ..ir import query
from ..ir.core import Kernel, Op, Value
from ..ir.types import Pointer
from ..memory import Buffer
from ..passes import pipeline
from ..passes.bounds import bounds
from . import uniform
from .compiled import Compiled


def compile_kernel(function: JITFunction, signature: Signature, backend: Backend, options: Options, key: str = "") -> Compiled:
    """Everything between the user's function and the machine."""
    made = lower_function(function, signature)
    if made.notes and config.notes():
        print(*made.notes, sep="\n", file=sys.stderr)
    if is_checked(signature, backend):
        made = bounds(made, backend.machine)
    kernel = pipeline.run(made, backend.passes, backend.machine, options=options)
    return Compiled(backend.compile(kernel, options), stored_parameters(kernel), key, made.messages)


def is_checked(signature: Signature, backend: Backend) -> bool:
    """Whether a kernel checks its accesses itself: when debugging, on a backend that checks none."""
    return signature.debug and getattr(backend, "unchecked", False)


def stages(function: JITFunction, signature: Signature, backend: Backend, options: Options) -> Iterator[tuple[str, str]]:
    """The same way, stage by stage: (name, text), each made when asked for."""
    yield "source", function.source
    kernel = lower_function(function, signature)
    yield "frontend", str(kernel)
    if is_checked(signature, backend):
        kernel = bounds(kernel, backend.machine)
        yield "bounds", str(kernel)
    for name, step in pipeline.stages(kernel, backend.passes, backend.machine, options):
        kernel = step
        if name != "input":
            yield name, str(kernel)
    yield "final", str(kernel)
    program = backend.compile(kernel, options)
    yield from getattr(backend, "stages", lambda made: made.text)(program).items()


def bisect(
    function: JITFunction,
    signature: Signature,
    backend: Backend,
    options: Options,
    grid: Sequence[int],
    args: Sequence[Argument],
    heard: Buffer,
) -> str | None:
    """The first pass after which the interpreted kernel gives other results; `heard` is for what the kernel says."""
    kernel = lower_function(function, signature)
    args = [*args, heard] if kernel.messages else args
    return pipeline.bisect(kernel, backend.passes, backend.machine, grid, args, options)


def dividing_by_zero(function: JITFunction, signature: Signature, args: Sequence[Argument]) -> Op | None:
    """The division of integers by zero that a launch with these arguments would compute, as far as they alone tell."""
    return uniform.divides_by_zero(lower_function(function, signature), args)


def stored_parameters(kernel: Kernel) -> tuple[int, ...]:
    """The positions of pointer parameters that a store or an atomic may write through."""
    origins = query.origins(kernel.body)
    reached: set[Value] = set()
    stack = [op.operands[0] for op in kernel.body.walk() if op.spec.effect == "write"]
    while stack:
        value = stack.pop()
        if value not in reached:
            reached.add(value)
            stack.extend(origins.get(value, ()))
    return tuple(i for i, p in enumerate(kernel.body.args) if p in reached and isinstance(p.type.elem, Pointer))
