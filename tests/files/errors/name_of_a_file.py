import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x):
    tl.store(x + tl.arrange(0, 64), 1.0)


kernel[(1,)](np.zeros(64, np.float32))

# expect:
# CompilationError: error: module `tiledsl.language` has no attribute `arrange`
#   --> name_of_a_file.py:9:18, in kernel
#    9 |     tl.store(x + tl.arrange(0, 64), 1.0)
#      |                  ^^^^^^^^^^
# help: did you mean `tl.arange`?
