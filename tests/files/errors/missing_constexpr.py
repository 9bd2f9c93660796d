import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, BLOCK: tl.constexpr):
    tl.store(x + tl.arange(0, BLOCK), 1.0)


kernel[(1,)](np.zeros(64, np.float32))

# expect:
# ArgumentError: error: the launch of `kernel` is missing the compile-time argument `BLOCK`
#   --> missing_constexpr.py:8:15, in kernel
#    8 | def kernel(x, BLOCK: tl.constexpr):
#      |               ^^^^^^^^^^^^^^^^^^^
# help: pass BLOCK=...
