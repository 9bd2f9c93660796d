import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x):
    tl.stroe(x, 1.0)


kernel[(1,)](np.zeros(64, np.float32))

# expect:
# CompilationError: error: module `tiledsl.language` has no attribute `stroe`
#   --> unknown_function.py:9:5, in kernel
#    9 |     tl.stroe(x, 1.0)
#      |     ^^^^^^^^
# help: did you mean `tl.store`?
