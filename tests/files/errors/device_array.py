import numpy as np

import tiledsl
import tiledsl.language as tl


class CudaTensor:
    """Looks like a tensor on another device."""

    device = "cuda:0"
    dtype = "torch.float32"
    shape = (64,)

    def data_ptr(self):
        return 0


@tiledsl.jit
def kernel(x):
    tl.store(x, 1.0)


kernel[(1,)](CudaTensor())

# expect:
# LaunchError: error: `x` is on the device `cuda:0`, kernels run on the CPU
#   --> device_array.py:19:12, in kernel
#   19 | def kernel(x):
#      |            ^
# help: pass x.cpu()
