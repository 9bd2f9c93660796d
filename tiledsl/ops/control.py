"""Ops that decide what runs: loops and branches own blocks, and a block ends in yield."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import require
from ..ir.core import Block
from ..ir.printer import show_types
from ..ir.spec import export, op
from ..ir.types import Tile, i1, same


def _expect(what: str, found: Sequence[Any], expected: Sequence[Tile]) -> None:
    types = [v.type for v in found]
    require(types == list(expected), f"{what} {show_types(types) or 'nothing'}, expected {show_types(expected) or 'nothing'}")


def _for(run: Any, lo: np.ndarray, hi: np.ndarray, step: np.ndarray, *carried: np.ndarray, blocks: Sequence[Block], stages: int = 0) -> Any:
    for i in range(int(lo), int(hi), int(step) or 1):
        carried = run.block(blocks[0], (np.asarray(i, lo.dtype), *carried))
    return carried


@op(_for, effect="control", blocks=1)
def for_(lo: Tile, hi: Tile, step: Tile, *carried: Tile, blocks: Sequence[Block], stages: int = 0) -> tuple[Tile, ...]:
    """Run the block for each index from lo while below hi (above hi if step is negative); what it yields is carried
    to the next iteration, and in the end is the result. A step of 0 counts as 1. `stages`, which changes no result: how many
    iterations may overlap, 1 for none."""
    index = same(lo, hi, step)
    require(index.elem.is_int and not index.shape and index.elem is not i1, f"loop bounds are integer scalars, got {index}")
    _expect("the loop's block takes", blocks[0].args, [index, *carried])
    _expect("the loop's block yields", blocks[0].yields, carried)
    return carried


def _while(run: Any, *carried: np.ndarray, blocks: Sequence[Block]) -> Any:
    while run.block(blocks[0], carried)[0]:
        carried = run.block(blocks[1], carried)
        run.again(blocks[1])
    return carried


@op(_while, effect="control", blocks=2)
def while_(*carried: Tile, blocks: Sequence[Block]) -> tuple[Tile, ...]:
    """Run the second block, carrying what it yields, as long as the first yields true for the carried values."""
    condition, body = blocks
    _expect("the loop's condition takes", condition.args, carried)
    _expect("the loop's condition yields", condition.yields, [Tile(i1)])
    _expect("the loop's block takes", body.args, carried)
    _expect("the loop's block yields", body.yields, carried)
    return carried


@op(lambda run, cond, *, blocks: run.block(blocks[0] if cond else blocks[1], ()), effect="control", blocks=2)
def if_(cond: Tile, *, blocks: Sequence[Block]) -> tuple[Tile, ...]:
    """Run the first block if cond holds, else the second; what it yields is the result."""
    require(cond == Tile(i1), f"a condition is an i1 scalar, got {cond}")
    then, otherwise = blocks
    _expect("a branch takes", [*then.args, *otherwise.args], [])
    results = tuple(v.type for v in then.yields)
    _expect("the else branch yields", otherwise.yields, results)
    return results


@op(lambda run, *values: values, effect="control", traits={"terminator"})
def yield_(*values: Tile) -> None:
    """End a block and hand its values to the op that owns it."""


export(globals())
