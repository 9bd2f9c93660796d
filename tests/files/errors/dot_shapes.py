import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x):
    i, j = tl.arange(0, 16), tl.arange(0, 32)
    a = tl.load(x + i[:, None] * 32 + j[None, :])
    tl.store(x + i[:, None] * 32 + j[None, :], tl.dot(a, a))


kernel[(1,)](np.zeros(512, np.float32))

# expect:
# TypeRuleError: error: first input shape [16, 32] and second input shape [16, 32] are not compatible for matmul: 32 against 16
#   --> dot_shapes.py:11:48, in kernel
#   11 |     tl.store(x + i[:, None] * 32 + j[None, :], tl.dot(a, a))
#      |                                                ^^^^^^^^^^^^
# help: transpose one: tl.dot(a, tl.trans(b))
