import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def normalised(x):
    return x / tl.sqrt(tl.sum(x, axis=1))


@tiledsl.jit
def kernel(x):
    i = tl.arange(0, 16)
    tl.store(x + i, normalised(tl.load(x + i)))


kernel[(1,)](np.zeros(64, np.float32))

# expect:
# TypeRuleError: error: invalid axis 1. Expected -1 <= axis < 1
#   --> typing_in_a_helper.py:9:24, in normalised
#    9 |     return x / tl.sqrt(tl.sum(x, axis=1))
#      |                        ^^^^^^^^^^^^^^^^^
# note: called from typing_in_a_helper.py:15:21, in kernel
#   15 |     tl.store(x + i, normalised(tl.load(x + i)))
#      |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^
# help: tl.sum(input, axis=None, keep_dims=False, dtype=None)
