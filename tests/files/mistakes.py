"""What people get wrong in kernels, one mistake per function; tests/test_mistakes.py asks each for its diagnostic."""

import numpy as np

import tiledsl.language as tl

X, N1 = np.zeros(64, np.float32), np.array([8])
CASES = {}


def case(*args, grid=(1,), **options):
    def add(fn):
        CASES[fn.__name__] = (fn, grid, args, options)
        return fn

    return add


SIZE = 8
table = [1,2,3]


@case(X, N1)
def array_as_number(x, n):
    i = tl.arange(0, 8); tl.store(x + i, 1.0, mask=i < n)


@case(X, N1)
def array_as_bound(x, n):
    for k in range(n): tl.store(x + k, 1.0)


@case(X, N1)
def array_as_bound2(x, n):
    for k in range(0, n // 2): tl.store(x + k, 1.0)


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


@case(np.zeros(8, '>f4'))
def big_endian(x):
    tl.store(x, 1.0)


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
def undefined(x):
    tl.store(x, qqqzzz)


@case(X)
def arrange(x):
    tl.store(x + tl.arrange(0, 8), 1.0)


@case(X)
def module_call(x):
    tl.store(x + tl.math(8), 1.0)


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
def amp_eq(x):
    at = tl.arange(0, 8)
    m = (at < 4) & at == 2
    tl.store(x + at, 1.0, mask=m)


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
def mod_none(x):
    tl.store(x, None + 1)


@case(X)
def string(x):
    tl.store(x, "a")


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
def assign_sub(x):
    a = tl.zeros((8,), tl.float32)
    a[0] = 1.0


@case(X)
def loop_type(x):
    a = 0
    for i in range(4):
        a = a + tl.load(x + tl.arange(0, 8))


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


@case(X)
def block_ptr(x):
    p = tl.make_block_ptr(x, (8, 8), (8, 1), (0, 0), (4,), (1, 0))


@case(X)
def missing_arg(x):
    tl.store(x)


@case()
def missing_param(x):
    tl.store(x, 1.0)
