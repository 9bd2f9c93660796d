"""The instruction that Sable has and T1 has not: a leaky rectifier in one pass through the vector unit."""

import math
from collections.abc import Mapping

import numpy as np

from tiledsl.backends.npu.isa.custom import Extension
from tiledsl.backends.npu.isa.instructions import TileA, TileB, TileTo
from tiledsl.backends.npu.isa.state import Core, TileDescriptor
from tiledsl.backends.npu.machine import Npu
from tiledsl.ir.types import Tile

EXTENSION = Extension()


def legal(machine: Npu, types: Mapping[str, Tile]) -> bool:
    """Our multipliers are 32 bits wide."""
    return types["to"].elem.name in ("f32", "i32")


def cost(machine: Npu, tiles: Mapping[str, TileDescriptor]) -> float:
    """A group of lanes a cycle, and one more stage than other vector instructions have."""
    return machine.vector_setup + 1 + math.ceil(tiles["to"].size / machine.lanes)


@EXTENSION.instruction(0x80, unit="V", match="select(ge(a, 0), a, mul(a, b))", legal=legal, cost=cost)
def leaky(core: Core, to: TileTo, a: TileA, b: TileB) -> None:
    """to = a, or a * b where a is negative or NaN, element by element."""
    x, slope = core.get(a), core.get(b)
    core.put(to, np.where(x >= 0, x, x * slope))
