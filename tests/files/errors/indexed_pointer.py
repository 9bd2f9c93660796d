import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x):
    tl.store(x, x[tl.program_id(0)])


kernel[(1,)](np.zeros(64, np.float32))

# expect:
# TypeRuleError: error: unsupported tensor index: 1 axes are indexed, but *f32 has 0
#   --> indexed_pointer.py:9:17, in kernel
#    9 |     tl.store(x, x[tl.program_id(0)])
#      |                 ^^^^^^^^^^^^^^^^^^^
# help: read memory with tl.load(x + index), write it with tl.store
