import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, n):
    for i in range(n):
        return


kernel[(1,)](np.zeros(64, np.float32), 3)

# expect:
# UnsupportedSyntax: error: Cannot have `return` statements inside `while` or `for` statements in triton
#   --> return_in_a_loop.py:10:9, in kernel
#   10 |         return
#      |         ^^^^^^
# help: set a variable, leave the loop with `break`, and return the variable after it
