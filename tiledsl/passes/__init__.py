"""The shared passes, in order, each with its reason; a pass is a function (kernel, machine) -> kernel.

Every backend runs all of them, so that all see the same ops and round alike. ORDER says which step must precede which.
"""

from __future__ import annotations

from ..ir.core import Kernel
from ..machine import Machine
from .blocks import blocks
from .common import common
from .contract import contract
from .dead import dead
from .hoist import hoist
from .narrow import narrow
from .numerics import numerics
from .pipeline import Pass
from .simplify import simplify
from .unchanged import unchanged


def tidy(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel simplified, with loops relieved, without repetitions and dead ops."""
    for step in (simplify, hoist, common, dead):
        kernel = step(kernel, machine)
    return kernel


SHARED: tuple[Pass, ...] = (
    Pass("narrow", narrow, "no later step, and no backend, knows the fp8 types"),
    Pass("simplify", simplify, "known branches, loops and masks go before anything is analysed"),
    Pass("unchanged", unchanged, "a stride that a loop only hands on is as good as a constant"),
    Pass("common", common, "equal addresses and products become one value"),
    Pass("dead", dead, "what is not needed is neither a use nor worth lowering"),
    Pass("contract", contract, "products and sums as the user wrote them", needs="enable_fp_fusion", exact=False),
    Pass("numerics", numerics, "a function is one op as long as possible", exact=False),
    Pass("blocks", blocks, "backends move blocks of memory, not tiles of pointers"),
    Pass("tidy", tidy, "pointer tiles are dead now, index arithmetic can leave loops, and functions share their parts"),
)

ORDER: tuple[tuple[str, str, str], ...] = (
    ("narrow", "simplify", "the bit arithmetic of conversions is folded and shared like any other"),
    ("narrow", "contract", "sums and products of fp8 happen in f32, where they can be fused"),
    ("unchanged", "blocks", "strides and bounds of a window are invariants of the loop, not values it carries"),
    ("simplify", "common", "equal ops look equal once constants are folded"),
    ("common", "dead", "a repeated op is dead once its uses are gone"),
    ("dead", "contract", "an unused sum would keep a product from being fused"),
    ("contract", "numerics", "what a function means depends neither on the sums around it nor on the option to fuse"),
    ("simplify", "blocks", "what is uniform stands as a broadcast scalar, masks that always hold are gone"),
    ("blocks", "tidy", "blocks leaves pointer tiles, and scalar arithmetic where it was needed"),
    ("numerics", "tidy", "two functions of one tile share what they begin with"),
)
