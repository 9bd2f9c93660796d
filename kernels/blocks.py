"""What blocks suit the machine that a launch goes to: asked of its numbers, so that a kernel need not know machines."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import tiledsl
from tiledsl.backend import registry
from tiledsl.backend.threads import num_threads
from tiledsl.machine import Machine

BLOCK, DEPTH = 64, 64  # rows and columns, and depth, where sums are in registers or caches
SMALLEST = 16  # columns, and depth: a vector of any machine
LARGEST = 512  # rows or columns of a block of sums
LONG = 1024  # columns where b is read once: a quarter of a page and less at a time, memory would be slow


def machine_of(launch: Mapping[str, Any]) -> Machine:
    """The machine that a launch with these options runs on."""
    return registry.find(launch.get("backend") or registry.default()).machine


def programs_of(launch: Mapping[str, Any]) -> int:
    """How many programs a launch with these options should have at least."""
    return 1 if (launch.get("num_threads") or num_threads()) == 1 else 2


def for_product(machine: Machine, m: int, n: int, k: int, itemsize: int, programs: int = 2) -> tuple[int, int, int]:
    """Rows, columns and depth of what a program multiplies at a time, if there are to be so many programs at least."""
    if machine.memories.get("acc"):
        return _of_accumulators(machine, m, n, itemsize)
    return _of_registers(m, n, k, programs)


@lru_cache(1024)
def _of_registers(m: int, n: int, k: int, programs: int) -> tuple[int, int, int]:
    """Sums that stay in caches, where what is multiplied passes through."""
    rows = min(BLOCK, tiledsl.next_power_of_2(m))
    columns = max(LONG, BLOCK * BLOCK // rows) if m <= BLOCK else BLOCK
    columns = max(min(BLOCK, tiledsl.next_power_of_2(n)), min(columns, tiledsl.next_power_of_2(-(-n // programs))))
    return rows, max(SMALLEST, columns), max(SMALLEST, min(DEPTH, tiledsl.next_power_of_2(k)))


def _of_accumulators(machine: Machine, m: int, n: int, itemsize: int) -> tuple[int, int, int]:
    """Sums that fill the accumulators, as every factor is read as often as there are blocks along the other; but a program for every
    core at least. What is multiplied first nobody waits for long, and two lots of it take half of the scratchpad."""
    block = LARGEST
    while block > 16 and 4 * block * block > machine.memories["acc"]:
        block //= 2
    rows, columns = min(block, tiledsl.next_power_of_2(m)), min(block, tiledsl.next_power_of_2(n))
    while max(rows, columns) > 16 and tiledsl.cdiv(m, rows) * tiledsl.cdiv(n, columns) < machine.cores:
        rows, columns = (rows // 2, columns) if rows >= columns else (rows, columns // 2)
    depth = max(32, min(DEPTH, 8192 // max(rows, columns)))
    while depth > 16 and 4 * (rows + columns) * depth * itemsize > machine.memories["spm"]:
        depth //= 2
    return rows, columns, depth
