import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x):
    at = tl.arange(0, 64)
    tl.store(x + at, 1.0, mask=at < 60 & at >= 2)


kernel[(1,)](np.zeros(64, np.float32))

# expect:
# UnsupportedSyntax: error: `&` binds tighter than a comparison: this compares `60 & at`
#   --> chain_by_precedence.py:10:32, in kernel
#   10 |     tl.store(x + at, 1.0, mask=at < 60 & at >= 2)
#      |                                ^^^^^^^^^^^^^^^^^
# help: write (at < 60) & (at >= 2), or (60 & at) if that is meant
