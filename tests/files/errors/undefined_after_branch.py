import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, n):
    if n > 3:
        value = 1.0
    tl.store(x, value)


kernel[(1,)](np.zeros(64, np.float32), 5)

# expect:
# CompilationError: error: `value` is not defined here
#   --> undefined_after_branch.py:11:17, in kernel
#   11 |     tl.store(x, value)
#      |                 ^^^^^
# note: `value` is assigned only when the condition holds, at undefined_after_branch.py:9:8, in kernel
# help: give `value` a value before
