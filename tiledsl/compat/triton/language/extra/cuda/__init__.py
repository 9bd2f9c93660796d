"""`tl.extra.cuda`: libdevice under the name that older code imports, and what kernels ask of a GPU that they run on."""

from typing import Any

from ......ir.core import Value
from ......ir.types import i32, i64
from ......language import coerce
from ......language.core import Context, builtin
from ....tensormaps import (
    experimental_device_tensormap_create1d,
    experimental_device_tensormap_create2d,
    experimental_tensormap_fenceproxy_acquire,
)
from . import libdevice


@builtin
def globaltimer(ctx: Context) -> Value:
    """The time in ns. Kernels have no clock here, so that they compute the same every time: 0."""
    return coerce.constant(ctx.build, 0, i64)


@builtin
def smid(ctx: Context) -> Value:
    """The number of the multiprocessor: 0, there is one."""
    return coerce.constant(ctx.build, 0, i32)


@builtin
def num_warps(ctx: Context) -> Any:
    """How many warps run a program: 1."""
    return 1


@builtin
def num_threads(ctx: Context) -> Any:
    """How many threads run a program: those of one warp, 32."""
    return 32


@builtin
def gdc_wait(ctx: Context) -> None:
    """Wait for the launch before this one: it has ended."""


@builtin
def gdc_launch_dependents(ctx: Context) -> None:
    """Let the launch after this one begin: it does when this one ends."""


__all__ = [
    "experimental_device_tensormap_create1d", "experimental_device_tensormap_create2d", "experimental_tensormap_fenceproxy_acquire",
    "gdc_launch_dependents", "gdc_wait", "globaltimer", "libdevice", "num_threads", "num_warps", "smid",
]  # fmt: skip
