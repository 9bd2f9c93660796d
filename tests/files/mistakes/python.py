"""Mistakes in Python: what kernels cannot contain, calls, names, branches."""

import functools

import numpy as np

import tiledsl
import tiledsl.language as tl

X, N1 = np.zeros(64, np.float32), np.array([8])
CASES = {}


def case(*args, grid=(1,), **options):
    """Declare the launch of the function below."""

    def add(fn):
        CASES[fn.__name__] = (fn, grid, args, options)
        return fn

    return add


SIZE = 8
table = [1,2,3]


@case(X)
def dict_comp(x):
    d = {k: k for k in (1, 2)}
    tl.store(x, d[1])


@case(X)
def set_comp(x):
    d = {k for k in (1, 2)}


@case(X)
def with_(x):
    with x: tl.store(x, 1.0)


@case(X)
def try_(x):
    try: tl.store(x, 1.0)
    except ValueError: pass


@case(X)
def yield_(x):
    yield x


@case(X)
def undefined(x):
    tl.store(x, qqqzzz)


@case(X)
def module_call(x):
    tl.store(x + tl.math(8), 1.0)


@case(X)
def returns(x):
    return tl.load(x)


@case(X)
def returns_tuple(x):
    return 1, 2


@case(X)
def numpy_call(x):
    tl.store(x, np.sqrt(2.0))


@case(X)
def numpy_tile(x):
    tl.store(x, np.exp(tl.load(x)))


@case(X)
def numpy_zeros(x):
    a = np.zeros(8)
    tl.store(x, a)


@case(X)
def math_tile(x):
    import math
    tl.store(x, 1.0)


@case(X)
def fstring(x):
    v = tl.load(x)
    print(f"v = {v}")


@case(X)
def global_list(x):
    tl.store(x, table[0])


@case(X)
def global_int(x):
    tl.store(x, SIZE)


@case(X)
def global_write(x):
    global SIZE
    SIZE = 3


@case(X)
def lambda_(x):
    f = lambda a: a + 1
    tl.store(x, f(1.0))


@case(X)
def nested(x):
    def f(a): return a
    tl.store(x, f(1.0))


@case(X)
def walrus(x):
    if (n := tl.load(x)) > 0:
        tl.store(x, m)


@case(X)
def star(x):
    a = (1, 2)
    tl.store(*a, **{})


@case(X)
def star_tile(x):
    tl.store(*x)


def helper(a): return a + 1


@case(X)
def plain_helper(x):
    tl.store(x, helper(1.0))


class Thing:
    def go(self, a): return a
    k = 3
thing = Thing()


@case(X)
def method(x):
    tl.store(x, thing.go(1.0))


@case(X)
def class_missing(x):
    tl.store(x, thing.kk)


@case(X)
def chained_amp(x):
    at = tl.arange(0, 8)
    m = at < 4 & at >= 2
    tl.store(x + at, 1.0, mask=m)


@case(X)
def mod_none(x):
    tl.store(x, None + 1)


@case(X)
def string(x):
    tl.store(x, "a")


@case(X)
def for_tile(x):
    for v in tl.arange(0, 8):
        tl.store(x, v)


@case(X)
def for_pointer(x):
    for v in x:
        tl.store(x, v)


@case(X)
def len_ptr(x):
    tl.store(x, len(x))


@case(X)
def shape_ptr(x):
    tl.store(x, x.shape[0])


@case(X)
def unpack(x):
    a, b = tl.load(x + tl.arange(0, 8))


@case(X)
def unpack_tuple(x):
    a, b = (1, 2, 3)


@case(X)
def tuple_index(x):
    a = (1, 2, 3)
    tl.store(x, a[5])


@case(X)
def tuple_index_rt(x):
    a = (1, 2, 3)
    tl.store(x, a[tl.program_id(0)])


@case(X)
def zero_div(x):
    tl.store(x, 1 // 0)


@case(X)
def raise_(x):
    raise ValueError("x")


@case(X)
def delete(x):
    a = 1
    del a


@case(X)
def append(x):
    a = []
    a.append(1)


@case(X)
def str_method(x):
    a = "a".upper()
    tl.store(x, a)


@case(X)
def input_(x):
    tl.store(x, input())


@case(X)
def open_(x):
    open("f")


@case(X)
def int_tile(x):
    a = int(tl.load(x))


@case(X)
def sorted_tile(x):
    a = sorted(tl.arange(0, 8))


@case(X)
def sum_builtin(x):
    a = sum(tl.arange(0, 8))


@case(X)
def pow_(x):
    a = pow(tl.load(x), 2)


@case(X)
def pow_op(x):
    a = tl.load(x) ** 2


@case(X)
def if_undefined(x):
    if tl.load(x) > 0:
        a = 1.0
    tl.store(x, a)


@tiledsl.jit
def helper2(a, b):
    return a + b


@tiledsl.jit
def other(x):
    tl.store(x, 1.0)


@case(X)
def call_missing(x):
    tl.store(x, helper2(1.0))


@case(X)
def call_extra(x):
    tl.store(x, helper2(1.0, 2.0, 3.0))


@case(X)
def call_kw(x):
    tl.store(x, helper2(1.0, c=2.0))


@case(X)
def launch_in_kernel(x):
    other[(1,)](x)


@case(X)
def recursion(x):
    loop_forever(x)


@tiledsl.jit
def loop_forever(x):
    loop_forever(x)


@case(X)
def none_used(x):
    a = other(x)
    tl.store(x, a)


@case(X)
def if_type_change(x):
    a = 1.0
    if tl.load(x) > 0:
        a = tl.arange(0, 8)
    tl.store(x, a)


@case(X)
def ternary(x):
    a = 1.0 if tl.load(x) > 0 else tl.arange(0, 8)


@case(X)
def while_else(x):
    i = 0
    while i < 4: 
        i += 1
        if i > tl.load(x): return


@case(X)
def aug_new(x):
    zz += 1


@case(X)
def reduce_lambda(x):
    a = tl.reduce(tl.arange(0, 8), 0, lambda a, b: a + b)


@case(X)
def inline_str(x):
    s = "a" + 1


@case(X)
def comp_of_tile(x):
    a = [v for v in tl.arange(0, 8)]


@case(X)
def enumerate_tile(x):
    for i, v in enumerate(tl.arange(0, 8)): pass


@case(X)
def in_tile(x):
    if 3 in tl.arange(0, 8): tl.store(x, 1.0)


@case(X)
def ellipsis_(x):
    tl.store(x, ...)


@case(X)
def decorated_not(x):
    tl.store(x, functools.reduce(max, (1, 2)))
