"""`triton.language.core`: the objects that kernels are made of."""

from ....ir.core import Value
from ....language import *
from ....language import abs, max, min, range, sum  # names that Python has, too
from ....language.aggregates import aggregate as _aggregate
from ....language.core import builtin, constexpr
from ....language.core import unwrap as _unwrap_if_constexpr
from ....language.functions import must_use_result

CONSTEXPR_0 = constexpr(0)  # kernels copied from Triton's own library name it as a default
