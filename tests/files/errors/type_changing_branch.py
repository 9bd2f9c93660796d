import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, n):
    value = 1
    if n > 3:
        value = 2.5
    tl.store(x, value)


kernel[(1,)](np.zeros(64, np.float32), 5)

# expect:
# CompilationError: error: Mismatched type for value: f32 when the condition holds, i32 otherwise, before it i32
#   --> type_changing_branch.py:10:5, in kernel
#   10 |     if n > 3:
#      |     ^
# help: convert one of them, so that `value` has one type
