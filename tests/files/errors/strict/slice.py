import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def last(row):
    return row[-1]


@tiledsl.jit
def kernel(x):
    row = tl.load(x + tl.arange(0, 4))
    tl.store(x, last(row))


kernel[(1,)](np.zeros(4, np.float32))

# expect:
# TypeRuleError: error: unsupported tensor index
#   --> slice.py:9:12, in last
#    9 |     return row[-1]
#      |            ^^^^^^^
# note: called from slice.py:15:17, in kernel
#   15 |     tl.store(x, last(row))
#      |                 ^^^^^^^^^
# note: accepted without TILEDSL_STRICT_TRITON
# help: Triton takes `:` and `None`; elsewhere use tl.gather, or a mask and tl.sum
