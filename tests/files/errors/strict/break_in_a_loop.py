import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, n):
    for i in range(n):
        if i == 3:
            break
        tl.store(x + i, 1.0)


kernel[(1,)](np.zeros(64, np.float32), 64)

# expect:
# UnsupportedSyntax: error: `break` is not supported
#   --> break_in_a_loop.py:11:13, in kernel
#   11 |             break
#      |             ^^^^^
# note: accepted without TILEDSL_STRICT_TRITON
# help: loop with `while` and a condition, or mask the remaining iterations
