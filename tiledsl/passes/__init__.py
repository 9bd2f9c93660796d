"""The shared passes, in order, each with its reason; a pass is a function (kernel, machine) -> kernel.

Every backend runs all of them, so that all see the same ops and round alike. ORDER says which step must precede which.
"""

from __future__ import annotations

from ..ir.core import Kernel
from ..machine import Machine
from .common import common
from .contract import contract
from .dead import dead
from .hoist import hoist
from .numerics import numerics
from .pipeline import Pass
from .simplify import simplify


def tidy(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel simplified, without repetitions, with loops relieved and dead ops gone."""
    for step in (simplify, common, hoist, dead):
        kernel = step(kernel, machine)
    return kernel


SHARED: tuple[Pass, ...] = (
    Pass("simplify", simplify, "what a call with constant arguments left behind: known branches, masks that always hold"),
    Pass("common", common, "each product has its uses in one place, which fusing it asks for"),
    Pass("dead", dead, "unused values would count as uses"),
    Pass("numerics", numerics, "after folding and sharing, while a function is one op", exact=False),
    Pass("contract", contract, "products and sums that functions are made of are there", "enable_fp_fusion", exact=False),
    Pass("tidy", tidy, "what the passes above have left behind"),
)

ORDER: tuple[tuple[str, str, str], ...] = (
    ("simplify", "common", "equal ops look equal once constants are folded"),
    ("common", "dead", "a repeated op is dead once its uses are gone"),
    ("dead", "contract", "an unused sum would keep a product from being fused"),
    ("numerics", "contract", "every product and sum is to be seen"),
    ("contract", "tidy", "fused products are dead"),
)
