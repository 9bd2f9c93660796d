import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
async def kernel(x):
    tl.store(x, 1.0)


kernel[(1,)](np.zeros(64, np.float32))
# expect:
# UnsupportedSyntax: error: an `async` function is no kernel
#   --> async_kernel.py:8:1, in kernel
#    8 | async def kernel(x):
#      | ^^^^^
# help: write `def kernel`
