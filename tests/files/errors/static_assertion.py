import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, BLOCK: tl.constexpr):
    tl.static_assert(BLOCK <= 32, f"BLOCK is {BLOCK}, at most 32 fit")
    tl.store(x + tl.arange(0, BLOCK), 1.0)


kernel[(1,)](np.zeros(64, np.float32), BLOCK=64)

# expect:
# StaticAssertionError: error: static assertion failed: BLOCK is 64, at most 32 fit
#   --> static_assertion.py:9:5, in kernel
#    9 |     tl.static_assert(BLOCK <= 32, f"BLOCK is {BLOCK}, at most 32 fit")
#      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
