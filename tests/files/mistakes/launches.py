"""Mistakes in launching: grids, arguments, options."""

import numpy as np

import tiledsl.language as tl

X, N1 = np.zeros(64, np.float32), np.array([8])
CASES = {}


def case(*args, grid=(1,), **options):
    """Declare the launch of the function below."""

    def add(fn):
        CASES[fn.__name__] = (fn, grid, args, options)
        return fn

    return add


@case(np.zeros(8, '>f4'))
def big_endian(x):
    tl.store(x, 1.0)


@case(X, "abc")
def string_arg(x, s):
    tl.store(x, s)


@case([1.0, 2.0])
def list_arg(x):
    tl.store(x, 1.0)


@case(None)
def none_arg(x):
    tl.store(x, 1.0)


@case(X, 1+2j)
def complex_arg(x, c):
    tl.store(x, c)


@case(np.zeros(8, complex))
def complex_array(x):
    tl.store(x, 1.0)


@case(np.array(["a"]))
def string_array(x):
    tl.store(x, 1.0)


@case(np.array([None]))
def object_array(x):
    tl.store(x, 1.0)


@case(X, grid=8)
def grid_int(x): tl.store(x, qq)


@case(X, grid=(1.5,))
def grid_float(x): tl.store(x, 1.0)


@case(X, grid=())
def grid_empty(x): tl.store(x, 1.0)


@case(X, grid=(-1,))
def grid_neg(x): tl.store(x, 1.0)


@case(X, grid="1")
def grid_str(x): tl.store(x, 1.0)


@case(X, grid=None)
def grid_none(x): tl.store(x, 1.0)


@case(X, 8, grid=lambda meta: (meta["BLOK"],))
def grid_key(x, BLOCK): tl.store(x, 1.0)


@case(X, 8, grid=lambda: (1,))
def grid_noarg(x, BLOCK): tl.store(x, 1.0)


@case(X, 8, grid=lambda meta: None)
def grid_gives_none(x, BLOCK): tl.store(x, 1.0)


@case(X, 8, grid=lambda meta: (8 / meta["BLOCK"],))
def grid_float_div(x, BLOCK): tl.store(x, 1.0)


@case(X, 8, 9)
def too_many(x): tl.store(x, 1.0)


@case(X, num_warp=4)
def wrong_option(x): tl.store(x, 1.0)


@case(X, BLOCKS=8)
def kw_typo(x, BLOCK: tl.constexpr): tl.store(x, 1.0)


@case(X, BLOCK=X)
def array_constexpr(x, BLOCK: tl.constexpr): tl.store(x + tl.arange(0, BLOCK), 1.0)


@case(X)
def missing_arg(x):
    tl.store(x)


@case()
def missing_param(x):
    tl.store(x, 1.0)


@case(np.zeros(8, np.float32), X, backend="cuda")
def cuda_backend(x, y):
    tl.store(x, 1.0)


@case(X, num_threads=-1)
def threads0(x):
    tl.store(x, 1.0)


@case(1 << 70, X)
def too_big(n, x):
    tl.store(x, n)


@case(np.float32, X)
def type_arg(n, x):
    tl.store(x, n)


@case(lambda: 3, X)
def func_arg(n, x):
    tl.store(x, n)


@case(X)
def kwonly(x, *, y):
    tl.store(x, y)
