"""What took a slow way, and why, each with the user's line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tiledsl.location import Loc

from ..machine import Npu
from .resident import Plan, views
from .write import Code, Line, multiplies

SINGLY = "an address per element, which do not follow from a base and strides by what is known when compiling"
SLOW = {
    "dgat": f"reads element by element: {SINGLY}",
    "dscat": f"writes element by element: {SINGLY}",
    "datom": "updates element by element: in their order",
    "dcas": "compares and swaps element by element: in their order",
}


Slow = tuple[Loc | None, str]  # where, and what: before the colon which way it is, the same wherever it is taken; then why


def slow_ways(code: Code, plan: Plan, machine: Npu, refused: str = "") -> tuple[Slow, ...]:
    """Every slow way that a kernel takes. `refused`: why iterations do not overlap."""
    found = list(dict.fromkeys(_found(code, plan, machine)))
    if refused:
        found.append((None, f"iterations of loops do not overlap: {refused}"))
    return tuple(found)


def report(slow: Sequence[Slow]) -> str:
    """Text with a line per slow way; empty if there is none."""
    return "".join(f"{loc}: {what}\n" if loc else f"{what}\n" for loc, what in slow)


def _found(code: Code, plan: Plan, machine: Npu) -> Iterator[Slow]:
    away = set(plan.elsewhere)
    for line in code:
        if not isinstance(line, Line):
            continue
        if line.name in SLOW and views(line)[0].size > 1:
            yield line.loc, SLOW[line.name]
        if line.name == "product":
            dtype = views(line)[1].dtype
            if multiplies(machine, dtype):
                yield line.loc, "multiplies in parts: the sum is not kept in the accumulators"
            else:
                takes = [name for name, rate in machine.matrix_rate.items() if rate and machine.macs and machine.acc_bytes]
                which = f"the matrix unit takes {', '.join(takes)}" if takes else "there is no matrix unit"
                yield line.loc, f"multiplies {dtype.name} on the vector unit: {which}"
        for buffer in [v.buffer for v in views(line) if v.buffer in away]:
            away.remove(buffer)
            yield line.loc, f"a tile lives in DRAM: it has {buffer.nbytes} bytes, the scratchpad {machine.spm_bytes}"
    if plan.pieces:
        yield None, f"large tiles are computed in pieces: of at most {plan.budget} bytes"
