import numpy as np

import tiledsl
import tiledsl.language as tl


WIDTH = 64


@tiledsl.jit
def kernel(x):
    tl.store(x + tl.arange(0, WIDTH), 1.0)


kernel[(1,)](np.zeros(64, np.float32))

# expect:
# CompilationError: error: Cannot access global variable WIDTH from within @jit'ed function
#   --> plain_global.py:12:31, in kernel
#   12 |     tl.store(x + tl.arange(0, WIDTH), 1.0)
#      |                               ^^^^^
# note: a kernel may read only globals that are tl.constexpr
# help: write `WIDTH = tl.constexpr(64)`
