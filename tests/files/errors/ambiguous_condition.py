import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x):
    value = tl.load(x + tl.arange(0, 16))
    if value > 0:
        tl.store(x + tl.arange(0, 16), -value)


kernel[(1,)](np.zeros(64, np.float32))

# expect:
# CompilationError: error: the condition is i1[16]: Boolean value of Tensor with more than one value is ambiguous
#   --> ambiguous_condition.py:10:8, in kernel
#   10 |     if value > 0:
#      |        ^^^^^^^^^
# help: choose elementwise with tl.where, or reduce it first, for example with tl.max
