"""`triton.language`: the language of tiledsl under the name that kernels import."""

from ....language import *
from ....language import abs, max, min, range, sum  # names that Python has, too
from ....language import make_tensor_descriptor as _experimental_make_tensor_descriptor
from ..tensormaps import (
    _experimental_descriptor_load,
    _experimental_descriptor_store,
    _experimental_reinterpret_tensor_descriptor,
    nv_tma_desc_type,
)

del core, math, random  # noqa: F821  modules of tiledsl.language; those of the same names here say more
from . import core, extra, math, random, semantic, standard, target_info  # type: ignore[no-redef]  # noqa: E402
from .extra import libdevice  # noqa: E402  where Triton 2 has it
