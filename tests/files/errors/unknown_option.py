import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x):
    tl.store(x, 1.0)


kernel[(1,)](np.zeros(64, np.float32), num_wraps=4)

# expect:
# UnknownArgument: error: Keyword argument num_wraps was specified but unrecognised: it is neither a parameter of `kernel` nor an option
#   --> unknown_option.py:8:1, in kernel
#    8 | def kernel(x):
#      | ^^^
# note: parameters: x
# note: options: num_threads, num_cpu_threads, backend, enable_fp_fusion, deterministic, fast_math, debug, launch_cooperative_grid
# help: did you mean `num_warps`?
