"""`a < b & c < d`: `&`, `|` and `^` bind tighter, so this compares `b & c`. Refused without parentheses; `a == b & c` is warned of."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

SYMBOLS: dict[type[ast.operator], str] = {ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^"}
COMPARISONS: dict[type[ast.cmpop], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


def problem(node: ast.Compare, lines: Sequence[str]) -> tuple[str, str] | None:
    """What is wrong with a comparison and what to write, if an operand joins what looks like comparisons: as one of a chain,
    or because a part of it is a comparison itself. `lines` are those of the file."""
    operands = [node.left, *node.comparators]
    joined = [operand for operand in operands if _is_joined(operand) and not _in_parentheses(operand, lines)]
    if not joined or any(type(op) not in COMPARISONS for op in node.ops):
        return None
    if len(node.ops) == 1 and not any(isinstance(leaf, ast.Compare) for operand in joined for _, leaf in _leaves(operand)):
        return None  # x & 1 == 0
    symbol = SYMBOLS[type(joined[0].op)]  # type: ignore[attr-defined]
    read = ast.unparse(joined[0])
    return (
        f"`{symbol}` binds tighter than a comparison: this compares `{read}`",
        f"write {_meant(node, joined)}, or ({read}) if that is meant",
    )


def _is_joined(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and type(node.op) in SYMBOLS


def _leaves(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """The operands of a & b | c with the symbol before each."""
    if isinstance(node, ast.BinOp) and type(node.op) in SYMBOLS:
        yield from _leaves(node.left)
        yield SYMBOLS[type(node.op)], node.right
    else:
        yield "", node


def _meant(node: ast.Compare, joined: Sequence[ast.expr]) -> str:
    """The comparison with a group per comparison."""
    groups: list[tuple[str, str, bool]] = [("", "", False)]  # the symbol before, the text, whether it compares

    def extend(text: str, compares: bool = False) -> None:
        symbol, before, already = groups[-1]
        groups[-1] = symbol, f"{before} {text}".strip(), already or compares

    for op, operand in zip([None, *node.ops], [node.left, *node.comparators], strict=True):
        if op is not None:
            extend(COMPARISONS[type(op)], True)
        for symbol, leaf in _leaves(operand) if operand in joined else [("", operand)]:
            if symbol:
                groups.append((symbol, "", False))
            extend(ast.unparse(leaf), isinstance(leaf, ast.Compare))
    return " ".join(f"{symbol} ({text})" if compares else f"{symbol} {text}" for symbol, text, compares in groups).strip()


def _in_parentheses(node: ast.expr, lines: Sequence[str]) -> bool:
    """Whether a pair of parentheses holds the node and nothing else."""
    first, last = lines[node.lineno - 1].encode(), lines[(node.end_lineno or node.lineno) - 1].encode()
    before = first[: node.col_offset].decode().rstrip()
    after = last[node.end_col_offset :].decode().lstrip()
    return (before or _beside(lines, node.lineno - 2, -1)).endswith("(") and (after or _beside(lines, node.end_lineno or 0, 1)).startswith(
        ")"
    )


def _beside(lines: Sequence[str], at: int, step: int) -> str:
    """The next line in a direction that is not empty, without what surrounds it."""
    while 0 <= at < len(lines) and not lines[at].strip():
        at += step
    return lines[at].strip() if 0 <= at < len(lines) else ""
