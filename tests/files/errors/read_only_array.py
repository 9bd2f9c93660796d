import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x):
    tl.store(x, 1.0)


x = np.zeros(64, np.float32)
x.flags.writeable = False
kernel[(1,)](x)

# expect:
# LaunchError: error: `kernel` stores to `x`, which is read-only
#   --> read_only_array.py:8:12, in kernel
#    8 | def kernel(x):
#      |            ^
# help: pass a writable array, such as x.copy()
