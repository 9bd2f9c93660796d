"""`triton.language`: the language of tiledsl under the name that kernels import."""

from ....language import *
from ....language import abs, max, min, range, sum  # names that Python has, too

del core, math, random  # noqa: F821  modules of tiledsl.language; those of the same names here say more
from . import core, extra, math, random, semantic, standard, target_info  # type: ignore[no-redef]  # noqa: E402
