import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, BLOCK: tl.constexpr):
    tl.store(x + tl.arange(0, BLOCK), 1.0)


kernel[(1,)](np.zeros(100, np.float32), BLOCK=100)

# expect:
# TypeRuleError: error: arange's range must be a power of 2
#   --> not_a_power_of_two.py:9:18, in kernel
#    9 |     tl.store(x + tl.arange(0, BLOCK), 1.0)
#      |                  ^^^^^^^^^^^^^^^^^^^
# note: accepted without TILEDSL_STRICT_TRITON
# help: it is 100: use 128 and mask the rest
