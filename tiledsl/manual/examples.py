"""Examples of the reference: expressions, each run by the interpreter when the pages are written."""

from __future__ import annotations

import linecache
from typing import Any

import numpy as np

from .. import language as tl
from ..frontend import lower  # noqa: F401  (it declares the handlers that a Frame looks up)
from ..frontend.frame import Frame
from ..interpreter import values
from ..ir.core import Block, Builder, Kernel, Value
from ..language.dtypes import short_name
from ..runtime.jit import Launchable, jit

OPERATORS = (  # what Python and C, or literals and tiles, disagree about
    "tl.full([4], 7, tl.int8) + 1",
    "tl.full([4], 7, tl.int8) * 2.5",
    "tl.full([4], 1, tl.float16) * 2.0",
    "tl.full([4], 1, tl.float16) / 2.0",
    "tl.full([4], -7, tl.int32) // 2",
    "tl.full([4], -7, tl.int32) % 3",
    "tl.full([4], 7, tl.int32) // 0",
    "tl.full([4], -7.5, tl.float32) % 2.0",
    "tl.arange(0, 4) / 2",
    "tl.arange(0, 4) < 2",
    "~(tl.arange(0, 4) < 2)",
    "tl.full([4], 1, tl.int32) << tl.arange(30, 34)",
    "tl.full([4], 127, tl.int8) + tl.full([4], 1, tl.int8)",
    "tl.full([4], 1, tl.bfloat16) + tl.arange(0, 4)",
    "tl.full([4], 1, tl.int32) + tl.full([4], 2, tl.uint32)",
)

FUNCTIONS = {
    "arange": "tl.arange(4, 8)",
    "full": "tl.full([2, 2], 1.5, tl.float32)",
    "cast": "tl.full([4], 300.7, tl.float32).to(tl.int8)",
    "broadcast_to": "tl.broadcast_to(tl.arange(0, 2)[:, None], [2, 4])",
    "reshape": "tl.reshape(tl.arange(0, 4), [2, 2])",
    "expand_dims": "tl.expand_dims(tl.arange(0, 4), 0)",
    "trans": "tl.trans(tl.reshape(tl.arange(0, 4), [2, 2]))",
    "permute": "tl.permute(tl.reshape(tl.arange(0, 4), [1, 2, 2]), 2, 1, 0)",
    "join": "tl.join(tl.arange(0, 2), tl.arange(4, 6))",
    "interleave": "tl.interleave(tl.arange(0, 2), tl.arange(4, 6))",
    "cat": "tl.cat(tl.arange(0, 2), tl.arange(4, 6))",
    "flip": "tl.flip(tl.arange(0, 4))",
    "gather": "tl.gather(tl.arange(4, 8), tl.flip(tl.arange(0, 4)), 0)",
    "sort": "tl.sort(tl.arange(0, 4) * 5 % 7)",
    "topk": "tl.topk(tl.arange(0, 4) * 5 % 7, 2)",
    "histogram": "tl.histogram(tl.arange(0, 8) // 3, 4)",
    "where": "tl.where(tl.arange(0, 4) < 2, 1.5, 0.0)",
    "maximum": "tl.maximum(tl.full([2], 1, tl.float16), 0.0)",
    "minimum": 'tl.minimum(tl.full([2], float("nan"), tl.float32), 1.0)',
    "clamp": "tl.clamp(tl.arange(0, 4) * 1.0, 1.0, 2.0)",
    "exp": "tl.exp(tl.arange(0, 2) * 1.0)",
    "umulhi": "tl.umulhi(tl.full([2], 1 << 31, tl.uint32), tl.full([2], 6, tl.uint32))",
    "cdiv": "tl.cdiv(tl.arange(4, 8), 4)",
    "softmax": "tl.softmax(tl.zeros([4], tl.float32))",
    "sum": "tl.sum(tl.full([4], 100, tl.int8), 0)",
    "max": "tl.max(tl.full([4], 2, tl.uint8), 0)",
    "argmax": "tl.argmax(tl.full([4], 2.0, tl.float32), 0)",
    "xor_sum": "tl.xor_sum(tl.arange(0, 4), 0)",
    "cumsum": "tl.cumsum(tl.arange(0, 4), 0)",
    "cumprod": "tl.cumprod(tl.arange(1, 5), 0, reverse=True)",
    "dot": "tl.dot(tl.full([2, 2], 2.0, tl.float16), tl.full([2, 2], 3.0, tl.float16))",
    "rand": "tl.rand(42, tl.arange(0, 4))",
    "randint": "tl.randint(42, tl.arange(0, 4))",
    "philox": "tl.philox(42, tl.arange(0, 2), 0, 0, 0)[0]",
}


def shown(expression: str) -> str:
    """The expression, and what it is: type and elements."""
    value, elements = _result(expression)
    return f"{expression}\n# {_type(value)}: {_elements(elements)}"


def _result(expression: str) -> tuple[Value, np.ndarray]:
    text = f"@jit\ndef example():\n    found = {expression}\n"
    file = f"<example {expression}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names: dict[str, Any] = {"jit": jit, "tl": tl, "__name__": "example"}
    exec(compile(text, file, "exec"), names)
    function = names["example"]
    assert isinstance(function, Launchable)
    body = Block()
    frame = Frame(function, Builder(body, function.loc), {})
    frame.execute(function.tree.body)
    found = frame.names["found"]
    return found, values(Kernel("example", body))[found]


def _type(value: Value) -> str:
    elem = value.type.elem
    name = short_name(elem)  # type: ignore[arg-type]
    return f"{name}[{', '.join(map(str, value.type.shape))}]" if value.type.shape else name


def _elements(found: np.ndarray) -> str:
    """Nested brackets, six digits."""
    if found.ndim:
        return "[" + ", ".join(map(_elements, found)) + "]"
    number = found.item()
    return f"{number:.6g}" if isinstance(number, float) else str(number)
