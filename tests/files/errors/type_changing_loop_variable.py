import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, n):
    acc = 0.0
    for i in range(n):
        acc += tl.load(x + i * 64 + tl.arange(0, 64))
    tl.store(x + tl.arange(0, 64), acc)


kernel[(1,)](np.zeros(640, np.float32), 10)

# expect:
# CompilationError: error: loop-carried variable `acc` has initial type f32 but is re-assigned to f32[64]
#   --> type_changing_loop_variable.py:10:5, in kernel
#   10 |     for i in range(n):
#      |     ^
# note: `acc` must keep its type and shape from one iteration to the next
# help: start with `acc = tl.zeros([64], tl.float32)`
