import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, offset):
    tl.store(x + ofset, 1.0)


kernel[(1,)](np.zeros(64, np.float32), 5)

# expect:
# CompilationError: error: `ofset` is not defined
#   --> unknown_name.py:9:18, in kernel
#    9 |     tl.store(x + ofset, 1.0)
#      |                  ^^^^^
# help: did you mean `offset`?
