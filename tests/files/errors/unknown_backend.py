import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x):
    tl.store(x, 1.0)


kernel[(1,)](np.zeros(64, np.float32), backend="cpuu")

# expect:
# LaunchError: error: there is no backend `cpuu`
#   --> unknown_backend.py:8:1, in kernel
#    8 | def kernel(x):
#      | ^^^
# note: backends: cpu, interpreter, npu
# help: did you mean `cpu`?
