import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def scaled(x, factor):
    return x @ factor


@tiledsl.jit
def kernel(x):
    i = tl.arange(0, 16)
    tl.store(x + i, scaled(tl.load(x + i), 2.0))


kernel[(1,)](np.zeros(64, np.float32))

# expect:
# UnsupportedSyntax: error: the operator `@` is not supported
#   --> chain_of_calls.py:9:12, in scaled
#    9 |     return x @ factor
#      |            ^^^^^^^^^^
# help: write tl.dot(a, b)
