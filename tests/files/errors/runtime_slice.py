import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, n):
    row = tl.load(x + tl.arange(0, 4))
    tl.store(x, tl.sum(row[:n]))


kernel[(1,)](np.zeros(4, np.float32), 3)

# expect:
# CompilationError: error: the bounds of a slice are compile-time ints, got i32
#   --> runtime_slice.py:10:29, in kernel
#   10 |     tl.store(x, tl.sum(row[:n]))
#      |                             ^
# help: give the tile its final extents and mask, or use tl.gather
