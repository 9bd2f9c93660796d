"""From a function and a signature to a compiled kernel: the frontend, the passes, the backend."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from .. import config
from ..backend.base import Backend, Options
from ..frontend.function import JITFunction
from ..frontend.lower import lower_function
from ..frontend.signature import Signature
from ..ir.core import Block, Kernel, Op, Value
from ..ir.types import Pointer
from ..passes import pipeline
from .compiled import Compiled


def compile_kernel(function: JITFunction, signature: Signature, backend: Backend, options: Options, key: str = "") -> Compiled:
    """Everything between the user's function and the machine."""
    made = lower_function(function, signature)
    if made.notes and config.notes():
        print(*made.notes, sep="\n", file=sys.stderr)
    kernel = pipeline.run(made, backend.passes, backend.machine, options=options)
    return Compiled(backend.compile(kernel, options), stored_parameters(kernel), key, made.messages)


def stages(function: JITFunction, signature: Signature, backend: Backend, options: Options) -> Iterator[tuple[str, str]]:
    """The same way, stage by stage: (name, text), each made when asked for."""
    yield "source", function.source
    kernel = lower_function(function, signature)
    yield "frontend", str(kernel)
    for name, step in pipeline.stages(kernel, backend.passes, backend.machine, options):
        kernel = step
        if name != "input":
            yield name, str(kernel)
    yield "final", str(kernel)
    yield from backend.compile(kernel, options).text.items()


def stored_parameters(kernel: Kernel) -> tuple[int, ...]:
    """The positions of pointer parameters that a store or an atomic may write through."""
    origins = _origins(kernel.body)
    reached: set[Value] = set()
    stack = [op.operands[0] for op in kernel.body.walk() if op.spec.effect == "write"]
    while stack:
        value = stack.pop()
        if value not in reached:
            reached.add(value)
            stack.extend(origins.get(value, ()))
    return tuple(i for i, p in enumerate(kernel.body.args) if p in reached and isinstance(p.type.elem, Pointer))


def _origins(block: Block) -> dict[Value, Sequence[Value]]:
    """For every value, those that its address may come from: pointers come from pointers, or else from any operand."""
    found: dict[Value, Sequence[Value]] = {}

    def link(op: Op) -> None:
        carried = op.operands[len(op.operands) - len(op.results) :]
        yields = [inner.yields for inner in op.blocks if len(inner.yields) == len(op.results)]
        for i, result in enumerate(op.results):
            initial = [carried[i]] if op.blocks[0].args else []
            found[result] = [*initial, *(y[i] for y in yields)]
        for inner in op.blocks:
            arguments = inner.args[len(inner.args) - len(op.results) :]
            for i, argument in enumerate(arguments):
                found[argument] = [carried[i], *(y[i] for y in yields)]

    for op in block.walk():
        if op.blocks and op.spec.effect == "control":
            link(op)
            continue
        if op.spec.effect in ("read", "write"):
            continue  # what comes from memory is no parameter
        pointers = [v for v in op.operands if isinstance(v.type.elem, Pointer)]
        for result in op.results:
            found[result] = pointers if isinstance(result.type.elem, Pointer) and pointers else op.operands
    return found
