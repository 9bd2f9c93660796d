"""Mistakes with tiles: pointers, shapes, types, functions of the language."""

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


@case(X, N1)
def array_as_number(x, n):
    i = tl.arange(0, 8); tl.store(x + i, 1.0, mask=i < n)


@case(X, N1)
def array_as_bound(x, n):
    for k in range(n): tl.store(x + k, 1.0)


@case(X, N1)
def array_as_bound2(x, n):
    for k in range(0, n // 2): tl.store(x + k, 1.0)


@case(X)
def loop_without_a_step(x):
    for k in range(0, 4, 0): tl.store(x + k, 1.0)


@case(X)
def unrolled_loop_without_a_step(x):
    for k in tl.static_range(0, 4, 0): tl.store(x + k, 1.0)


@case(X, X)
def pointer_math(x, y):
    tl.store(x, tl.exp(y))


@case(X, X)
def pointer_mul(x, y):
    tl.store(x, y * 2)


@case(X, N1)
def pointer_neg(x, y):
    tl.store(x, -y)


@case(X, X)
def pointer_sum(x, y):
    tl.store(x, tl.sum(y, axis=0))


@case(X, X)
def pointer_store(x, y):
    tl.store(x + tl.arange(0, 8), y)


@case(X, X)
def pointer_where(x, y):
    tl.store(x, tl.where(y > 0, 1.0, 0.0))


@case(X)
def index_pointer(x):
    v = x[tl.program_id(0)]
    tl.store(x, v)


@case(X)
def index_pointer_store(x):
    x[0] = 1.0


@case(X)
def index_pointer_aug(x):
    x[0] += 1.0


@case(np.zeros(8, np.int16))
def atomic16(x):
    tl.atomic_add(x, 1)


@case(X, np.zeros(256, np.float16), np.zeros(256, np.int8))
def dot_mixed(x, a, b):
    i = tl.arange(0, 16)[:, None] * 16 + tl.arange(0, 16)[None, :]
    c = tl.dot(tl.load(a + i), tl.load(b + i))


@case(X, np.zeros(256, np.float32))
def dot_shape(x, a):
    i = tl.arange(0, 16)[:, None] * 8 + tl.arange(0, 8)[None, :]
    c = tl.dot(tl.load(a + i), tl.load(a + i))


@case(X)
def dot_1d(x):
    i = tl.arange(0, 16)
    c = tl.dot(tl.load(x + i), tl.load(x + i))


@case(X)
def other_no_mask(x):
    a = tl.load(x + tl.arange(0, 8), other=0.0)


@case(X)
def arrange(x):
    tl.store(x + tl.arrange(0, 8), 1.0)


@case(X)
def no_such(x):
    tl.zzzqqq(x)


@case(X, 8)
def arange_runtime(x, n):
    tl.store(x + tl.arange(0, n), 1.0)


@case(X)
def arange_one(x):
    tl.store(x + tl.arange(8), 1.0)


@case(X)
def tensor_if(x):
    v = tl.load(x + tl.arange(0, 8))
    if v > 0:
        tl.store(x, 1.0)


@case(X)
def tensor_while(x):
    v = tl.load(x + tl.arange(0, 8))
    while v > 0:
        v -= 1


@case(X)
def tensor_and(x):
    v = tl.load(x + tl.arange(0, 8))
    if v > 0 and v < 1:
        tl.store(x, 1.0)


@case(X)
def wrong_kw(x):
    tl.store(x, 1.0, masks=True)


@case(X)
def wrong_kw2(x):
    v = tl.load(x, padding="zero")


@case(X)
def load_number(x):
    v = tl.load(3)


@case(X)
def load_tile(x):
    v = tl.load(tl.arange(0, 8))


@case(X)
def store_swapped(x):
    tl.store(1.0, x)


@case(X)
def store_shape(x):
    tl.store(x, tl.arange(0, 8))


@case(X)
def sum_axis(x):
    tl.store(x, tl.sum(tl.load(x + tl.arange(0, 8)), axis=2))


@case(X)
def program_axis(x):
    tl.store(x, tl.program_id(3))


@case(X)
def program_kw(x):
    tl.store(x, tl.program_id("x"))


@case(X)
def zeros_dtype(x):
    a = tl.zeros((8,), dtype=np.float32)


@case(X)
def zeros_int(x):
    a = tl.zeros(8, tl.float32)
    b = a + tl.zeros((4,), tl.float32)


@case(X)
def to_numpy(x):
    a = tl.load(x).to("float32")
    b = tl.load(x).to(np.float16)


@case(X)
def to_int(x):
    a = tl.load(x).to(int)


@case(X)
def astype(x):
    a = tl.load(x).astype(tl.int32)


@case(X)
def matmul_op(x):
    a = tl.zeros((16, 16), tl.float32)
    b = a @ a


@case(X)
def shift_float(x):
    tl.store(x, tl.load(x) << 1)


@case(X)
def assign_sub(x):
    a = tl.zeros((8,), tl.float32)
    a[0] = 1.0


@case(X)
def loop_type(x):
    a = 0
    for i in range(4):
        a = a + tl.load(x + tl.arange(0, 8))


@case(X)
def reshape_bad(x):
    a = tl.reshape(tl.arange(0, 8), (3, 3))


@case(X)
def trans_1(x):
    a = tl.trans(tl.arange(0, 8), 0, 1)


@case(X)
def cat_shapes(x):
    a = tl.cat(tl.arange(0, 8), tl.arange(0, 4), can_reorder=True)


@case(X)
def where_shapes(x):
    a = tl.where(tl.arange(0, 8) > 0, tl.arange(0, 4), 0)


@case(X)
def block_ptr(x):
    p = tl.make_block_ptr(x, (8, 8), (8, 1), (0, 0), (4,), (1, 0))


@case(X)
def dtype_string(x):
    a = tl.zeros((8,), "float32"); b = tl.zeros((8,), "flot32")


@case(X)
def shape_runtime(x):
    n = tl.load(x).to(tl.int32)
    a = tl.zeros((n,), tl.float32)


@case(X, 8)
def shape_arg(x, n):
    a = tl.zeros((n,), tl.float32)


@case(X, 8)
def static_range_rt(x, n):
    for i in tl.static_range(n): tl.store(x + i, 1.0)


@case(X)
def float_range(x):
    for i in range(0.0, 4.0): tl.store(x, i)


@case(X)
def torch_like(x):
    a = tl.load(x + tl.arange(0, 8)).float()


@case(X)
def mean(x):
    a = tl.load(x + tl.arange(0, 8)).mean()


@case(X)
def numpy_dtype_attr(x):
    a = tl.load(x).to(x.dtype.element_tyy)


@case(X)
def shape_of_arg(x):
    n = x.size


@case(X)
def strides(x):
    n = x.stride(0)


@case(X)
def mask_wrong_shape(x):
    a = tl.load(x + tl.arange(0, 8), mask=tl.arange(0, 4) < 3)


@case(X)
def other_wrong(x):
    a = tl.load(x + tl.arange(0, 8), mask=tl.arange(0, 8) < 3, other="zero")


@case(X)
def store_int_ptr(x):
    tl.store(x.to(tl.int64), 1.0)


@case(X)
def ptr_plus_float(x):
    tl.store(x + 0.5, 1.0)


@case(X)
def ptr_plus_ptr(x):
    tl.store(x + x, 1.0)


@case(X)
def not_tile(x):
    a = not tl.load(x + tl.arange(0, 8))


@case(X)
def reduce_plain(x):
    a = tl.reduce(tl.arange(0, 8), 0, max)


@case(X)
def big_arange(x):
    a = tl.zeros((1 << 30,), tl.float32)


@case(X)
def neg_arange(x):
    a = tl.arange(8, 0)


@case(X)
def expand(x):
    a = tl.expand_dims(tl.arange(0, 8), 5)


@case(X)
def join_(x):
    a = tl.join(tl.arange(0, 8), tl.arange(0, 4))


@case(X)
def cast_bad(x):
    a = tl.load(x).to(tl.float64, bitcast=True)


@case(X)
def cast_name(x):
    a = tl.load(x).to(tl.float31)


@case(X)
def dot_fp64_i(x):
    a = tl.zeros((16, 16), tl.int32); b = tl.dot(a, a)


@case(X)
def dot_acc(x):
    a = tl.zeros((16, 16), tl.float32); b = tl.dot(a, a, acc=tl.zeros((8, 8), tl.float32))


@case(X)
def sort_dim(x):
    a = tl.sort(tl.arange(0, 8), dim=3)


@case(X)
def where_args(x):
    a = tl.where(tl.arange(0, 8) > 1, 1.0)


@case(X)
def print_noprefix(x):
    tl.device_print(tl.load(x))


@case(X)
def constexpr_store(x, B: tl.constexpr = None):
    tl.store(x, B)


@case(X)
def annotated_constexpr(x):
    n: tl.constexpr = tl.load(x)
    a = tl.arange(0, n)


@case(np.ones(2, np.int32))
def bias_of_an_integer(x):
    y = tl.load(x)
    tl.store(x, y + y.dtype.exponent_bias)
