"""What a kernel may be spoilt with: numbers, names and operators, and what its own file contains."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from ... import language

NUMBERS = (
    0, 1, -1, 2, 3, 5, 7, 16, 17, 31, 32, 33, 64, 100, 127, 128, 255, 256, 1000, 1024, 65536, 1 << 20, 1 << 21, 2**31 - 1, 2**31,
    2**32, 2**63 - 1, 2**63, 2**64, 2**70, -2, -7, -16, -(2**31), -(2**31) - 1, -(2**63), -(2**64),
    0.0, -0.0, 0.5, 1.5, -2.5, 3.0, 1e-50, 1e38, 1e39, 1e308, 1e400, True, False, None, ..., "", "x", "tl.float32", "mul", b"x", 1j,
)  # fmt: skip
UNKNOWN = (
    "nothing x len int float bool str list tuple dict set type range print min max abs sum object isinstance getattr hasattr iter zip "
    "enumerate sorted repr super slice map any all round pow divmod hash id callable ValueError tl triton math jit"
).split()
DTYPES = tuple(name for name, value in vars(language).items() if isinstance(value, language.dtype))
PUBLIC = tuple(name for name in vars(language) if not name.startswith("_"))
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult, ast.LShift, ast.RShift,
             ast.BitAnd, ast.BitOr, ast.BitXor)  # fmt: skip
COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn)
UNARY = (ast.USub, ast.UAdd, ast.Not, ast.Invert)
METHODS = ("to", "sum", "max", "min", "trans", "reshape", "expand_dims", "abs", "exp", "cast", "split", "broadcast_to", "store", "load",
           "T", "dtype", "shape", "type", "value", "element_ty", "numel", "handle", "__class__", "__dict__", "nothing")  # fmt: skip


@dataclass
class Pool:
    """What the definitions around a function contain, to be put elsewhere."""

    names: list[str] = field(default_factory=list)
    expressions: list[ast.expr] = field(default_factory=list)
    statements: list[ast.stmt] = field(default_factory=list)

    @staticmethod
    def of(definitions: Sequence[ast.AST]) -> Pool:
        pool = Pool()
        for definition in definitions:
            for node in ast.walk(definition):
                if isinstance(node, ast.Name):
                    pool.names.append(node.id)
                elif isinstance(node, ast.arg):
                    pool.names.append(node.arg)
                if isinstance(node, ast.expr) and not isinstance(getattr(node, "ctx", None), ast.Store | ast.Del):
                    pool.expressions.append(node)
                if isinstance(node, ast.stmt) and node is not definition:
                    pool.statements.append(node)
        return pool

    def expression(self, random: Random) -> ast.expr:
        return copy.deepcopy(random.choice(self.expressions))

    def name(self, random: Random) -> ast.expr:
        return ast.Name(random.choice(self.names if random.random() < 0.8 else UNKNOWN), ast.Load())

    def anything(self, random: Random) -> ast.expr:
        """A name, a number, or an expression of the file."""
        kind = random.randrange(4)
        return self.name(random) if kind == 0 else ast.Constant(random.choice(NUMBERS)) if kind == 1 else self.expression(random)


def parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
