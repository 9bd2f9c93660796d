import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def kernel(x, n):
    at = tl.arange(0, 64)
    tl.store(x + at, 1.0, mask=at < n)


kernel[(1,)](np.zeros(64, np.float32), np.array([64]))

# expect:
# TypeRuleError: error: `n` is an array, *i64, and stands for the address of its first element: it is no number
#   --> array_for_a_number.py:10:32, in kernel
#   10 |     tl.store(x + at, 1.0, mask=at < n)
#      |                                ^^^^^^
# note: `at` is i32[64], made at array_for_a_number.py:9:10, in kernel
# note: `n` is *i64
# help: pass a number, for example n.item(), or read an element: tl.load(n)
