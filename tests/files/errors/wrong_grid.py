import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x):
    tl.store(x, 1.0)


kernel[(1, 2, 3, 4)](np.zeros(64, np.float32))

# expect:
# LaunchError: error: a grid has 1 to 3 axes, got 4
#   --> wrong_grid.py:8:1, in kernel
#    8 | def kernel(x):
#      | ^^^
# help: kernel[(n,)](...), kernel[(n, m)](...) or kernel[lambda args: (tiledsl.cdiv(args['n'], args['BLOCK']),)](...)
