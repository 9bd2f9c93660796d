import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x):
    a = tl.load(x + tl.arange(0, 64))
    b = tl.load(x + tl.arange(0, 32))
    tl.store(x + tl.arange(0, 64), a + b)


kernel[(1,)](np.zeros(64, np.float32))

# expect:
# TypeRuleError: error: cannot broadcast [64] and [32]: axis 0 has extents 64, 32
#   --> shape_mismatch.py:11:36, in kernel
#   11 |     tl.store(x + tl.arange(0, 64), a + b)
#      |                                    ^^^^^
# note: `a` is f32[64], made at shape_mismatch.py:9:9, in kernel
# note: `b` is f32[32], made at shape_mismatch.py:10:9, in kernel
# help: extents meet if they are equal or one of them is 1: x[:, None] adds an axis of 1
