import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x):
    i = tl.arange(0, 64)
    tl.store(x + i, tl.exp(tl.load(x + i)))


kernel[(1,)](np.zeros(64, np.float16))

# expect:
# TypeRuleError: error: Expected dtype ['fp32', 'fp64'] but got fp16
#   --> wrong_dtype.py:10:21, in kernel
#   10 |     tl.store(x + i, tl.exp(tl.load(x + i)))
#      |                     ^^^^^^^^^^^^^^^^^^^^^^
# note: accepted without TILEDSL_STRICT_TRITON
# help: convert it first: x.to(tl.float32)
