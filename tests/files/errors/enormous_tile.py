import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, BLOCK: tl.constexpr):
    total = tl.zeros((BLOCK, BLOCK), tl.float32)
    tl.store(x, tl.sum(total))


kernel[(1,)](np.zeros(1, np.float32), BLOCK=65536)

# expect:
# TypeRuleError: error: f32[65536,65536] would have 4294967296 elements, more than the 16777216 a tile may have
#   --> enormous_tile.py:9:13, in kernel
#    9 |     total = tl.zeros((BLOCK, BLOCK), tl.float32)
#      |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
# help: loop over smaller blocks, or let more programs take one each
