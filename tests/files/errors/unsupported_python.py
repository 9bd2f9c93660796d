import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, n):
    try:
        tl.store(x, 1.0)
    finally:
        tl.store(x, 2.0)


kernel[(1,)](np.zeros(4, np.float32), 4)

# expect:
# UnsupportedSyntax: error: `try` is not supported
#   --> unsupported_python.py:9:5, in kernel
#    9 |     try:
#      |     ^
# help: kernels raise no exceptions
