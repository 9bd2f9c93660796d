import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, y, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(y + i, tl.load(x + i))


kernel[(1,)](np.zeros(60, np.float32), np.zeros(64, np.float32), BLOCK=64, backend="interpreter")

# expect:
# MemoryFault: error: read outside `x`: element 60 of 60 (lane [60] of [64])
#   --> out_of_bounds.py:10:21, in kernel
#   10 |     tl.store(y + i, tl.load(x + i))
#      |                     ^^^^^^^^^^^^^^
# help: mask the lanes that lie outside, or pass the right size
