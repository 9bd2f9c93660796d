"""`triton.language`: the language of tiledsl under the name that kernels import."""

from ....language import *
from ....language import abs, max, min, range, sum  # names that Python has, too
from . import core, extra, math, random, semantic, standard, target_info  # type: ignore[no-redef]
