import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, n):
    tl.store(x + tl.arange(0, n), 1.0)


kernel[(1,)](np.zeros(64, np.float32), 64)

# expect:
# TypeRuleError: error: arange's arguments must be of type tl.constexpr
#   --> runtime_extent.py:9:18, in kernel
#    9 |     tl.store(x + tl.arange(0, n), 1.0)
#      |                  ^^^^^^^^^^^^^^^
# help: declare the parameter `tl.constexpr`
