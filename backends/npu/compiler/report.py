"""What took a slow way, and why, each with the user's line."""

from __future__ import annotations

from collections.abc import Iterator

from tiledsl.location import Loc

from ..machine import Npu
from .resident import Plan, views
from .write import Code, Line, multiplies

SINGLY = "an address per element, which do not follow from a base and strides by what is known when compiling"
SLOW = {
    "dgat": f"reads element by element: {SINGLY}",
    "dscat": f"writes element by element: {SINGLY}",
    "datom": "updates element by element, in their order",
    "dcas": "compares and swaps element by element, in their order",
}


def report(code: Code, plan: Plan, machine: Npu, refused: str = "") -> str:
    """Text with a line per slow way; empty if there is none. `refused`: why iterations do not overlap."""
    found = list(dict.fromkeys(_found(code, plan, machine)))
    if refused:
        found.append((None, f"iterations of loops do not overlap: {refused}"))
    return "".join(f"{loc}: {what}\n" if loc else f"{what}\n" for loc, what in found)


def _found(code: Code, plan: Plan, machine: Npu) -> Iterator[tuple[Loc | None, str]]:
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
            yield line.loc, f"a tile of {buffer.nbytes} bytes lives in DRAM: the scratchpad has {machine.spm_bytes}"
    if plan.pieces:
        yield None, f"large tiles are computed in pieces of at most {plan.budget} bytes"
