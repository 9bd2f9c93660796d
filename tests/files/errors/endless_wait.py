import os

import numpy as np

import tiledsl
import tiledsl.language as tl

os.environ["TILEDSL_WAIT_LIMIT"] = "0.25"


@tiledsl.jit
def kernel(flags):
    pid = tl.program_id(0)
    while tl.atomic_add(flags + pid + 1, 0) == 0:
        pass
    tl.atomic_xchg(flags + pid, 1)


kernel[(4,)](np.zeros(8, np.int32))
# expect:
# WaitError: error: program (0, 0, 0) waits for `flags` element 1, and nothing changes that
#   --> endless_wait.py:14:11, in kernel
#   14 |     while tl.atomic_add(flags + pid + 1, 0) == 0:
#      |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
# note: for 0.25 seconds every program that has started has waited; TILEDSL_WAIT_LIMIT sets this limit, 0 for none
# note: programs start in ascending order, as others end
# help: wait for programs of a lower number only, or launch with launch_cooperative_grid=True: then all of them run at once
