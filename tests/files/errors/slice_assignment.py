import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x):
    row = tl.load(x + tl.arange(0, 4))
    row[1:] = 0.0
    tl.store(x + tl.arange(0, 4), row)


kernel[(1,)](np.zeros(4, np.float32))

# expect:
# UnsupportedSyntax: error: only plain names can be assigned: tiles and tuples are values
#   --> slice_assignment.py:10:5, in kernel
#   10 |     row[1:] = 0.0
#      |     ^^^^^^^
# help: make a new tile, for example with tl.where
