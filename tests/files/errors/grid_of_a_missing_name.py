import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, BLOCK: tl.constexpr):
    tl.store(x, 1.0)


kernel[lambda meta: (64 // meta["BLOCK_SIZE"],)](np.zeros(64, np.float32), BLOCK=8)

# expect:
# UnknownArgument: error: the grid asks for 'BLOCK_SIZE', which is no argument
#   --> grid_of_a_missing_name.py:8:1, in kernel
#    8 | def kernel(x, BLOCK: tl.constexpr):
#      | ^^^
# note: arguments: x, BLOCK
# help: did you mean `BLOCK`?
