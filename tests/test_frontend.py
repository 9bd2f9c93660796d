"""What kernels compute: Python's control flow and functions, against plain Python, by the reference interpreter."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import CompilationError

SCALE = tl.constexpr(3)
Pair = namedtuple("Pair", ["first", "second"])


@pytest.fixture(autouse=True)
def reference():
    tiledsl.use("interpreter")
    yield
    from tiledsl.backend import registry

    registry._default = None


def result(kernel, *args, grid=(1,), size=8, dtype=np.int32, **constants):
    out = np.full(size, -99, dtype)
    kernel[grid](out, *args, **constants)
    return out.tolist()


@tiledsl.jit
def collatz(out, n):
    steps = 0
    while n != 1:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        steps += 1
    tl.store(out, steps)


@pytest.mark.parametrize("n, steps", [(2, 1), (7, 16), (27, 111)])
def test_while_and_if_carry_scalars(n, steps):
    assert result(collatz, n, size=1) == [steps]


@tiledsl.jit
def early(out, n, limit):
    pid = tl.program_id(0)
    if pid >= limit:
        return
    if pid == 1:
        tl.store(out + pid, 100)
        if n > 5:
            return
        tl.store(out + pid, 200)
    else:
        tl.store(out + pid, pid)
    tl.store(out + pid + 4, pid)


def test_early_returns_leave_the_rest_undone():
    assert result(early, 9, 3, grid=(4,)) == [0, 100, 2, -99, 0, -99, 2, -99]
    assert result(early, 2, 3, grid=(4,)) == [0, 200, 2, -99, 0, 1, 2, -99]


@tiledsl.jit
def clamp_or_double(x, limit):
    if x > limit:
        return limit
    return x * 2


@tiledsl.jit
def returning(out, limit):
    for i in range(8):
        tl.store(out + i, clamp_or_double(i, limit))


def test_a_helper_may_return_early():
    assert result(returning, 3) == [0, 2, 4, 6, 3, 3, 3, 3]


@tl.constexpr
def wider(width, by: tl.constexpr):
    return width * by


@tiledsl.jit
def loosely_constant(out, x, WIDTH: tl.constexpr):
    double: tl.constexpr = wider(WIDTH, 2)
    grown: tl.constexpr = double * x
    tl.store(out + tl.arange(0, double), grown)


def test_constexpr_makes_compile_time_functions_and_lets_values_pass():
    assert result(loosely_constant, 5, WIDTH=2, size=4) == [20] * 4


@tiledsl.jit
def nested_loops(out, n, STEPS: tl.constexpr):
    total = 0
    for i in range(n):
        for j in range(i, 0, -1):
            total += j
        for k in tl.static_range(STEPS):
            total += k
    tl.store(out, total)


def test_loops_nest_count_down_and_unroll():
    expected = sum(sum(range(i, 0, -1)) + sum(range(4)) for i in range(5))
    assert result(nested_loops, 5, size=1, STEPS=4) == [expected]


@tiledsl.jit
def swap(a, b):
    return b, a


@tiledsl.jit
def tuples(out, n):
    a, b = 1, 2
    for _ in range(n):
        a, b = swap(a, b)
    pair = (a, b)
    tl.store(out, pair[0])
    tl.store(out + 1, pair[1])
    tl.store(out + 2, pair[-1] * 10)


def test_tuples_pass_through_functions_and_loops():
    assert result(tuples, 3, size=3) == [2, 1, 10]


@tiledsl.jit
def fields(out, pair, rest):
    tl.store(out, pair.first + pair.second * SCALE)
    x, y = rest
    tl.store(out + 1, x + y)
    if rest[1] is None:
        tl.store(out + 2, 7)


def test_named_tuples_keep_their_fields_and_globals_are_constexpr():
    assert result(fields, Pair(4, 5), (7, 8), size=3) == [19, 15, -99]


@tiledsl.jit
def turned(pair):
    return Pair(first=pair.second, second=pair.first)


@tiledsl.jit
def made_in_a_kernel(out, pair):
    other = turned(Pair(pair.first + tl.program_id(0), pair.second))
    tl.store(out, other.first)
    tl.store(out + 1, other.second)


def test_named_tuples_are_made_of_what_a_kernel_computes():
    assert result(made_in_a_kernel, Pair(4, 5), size=2) == [5, 4]


@tiledsl.jit
def static_choices(out, x, KIND: tl.constexpr, FN: tl.constexpr, extra=None):
    value = FN(x, 2) if KIND == "call" else x
    if extra is not None:
        value += extra
    elif KIND == "none" and x > 0:
        value = -value
    width: tl.constexpr = SCALE + 1
    tl.static_assert(width == 4, f"width is {width}")
    tl.store(out + tl.arange(0, width), value)


@tiledsl.jit
def multiply(x, y):
    return x * y


def test_compile_time_values_choose_code():
    assert result(static_choices, 5, KIND="call", FN=multiply, size=4) == [10] * 4
    assert result(static_choices, 5, KIND="none", FN=None, size=4) == [-5] * 4
    assert result(static_choices, 5, KIND="", FN=None, extra=4, size=4) == [9] * 4


@tiledsl.jit
def ternaries(out, n):
    x = 1.5 if n > 3 else 2.5
    y = n if n > 3 and n < 6 else -n
    z = min(n, 4, 5) + max(n, 2)
    tl.store(out, (x * 2).to(tl.int32))
    tl.store(out + 1, y)
    tl.store(out + 2, z)
    tl.store(out + 3, n if not (n == 5) else 0)


@pytest.mark.parametrize("n", [2, 4, 5, 7])
def test_conditional_expressions(n):
    expected = [3 if n > 3 else 5, n if 3 < n < 6 else -n, min(n, 4, 5) + max(n, 2), n if n != 5 else 0]
    assert result(ternaries, n, size=4) == expected


@tiledsl.jit
def integers(out, x, y):
    tl.store(out, x // y)
    tl.store(out + 1, x % y)
    tl.store(out + 2, x >> 1)
    tl.store(out + 3, x << 40)
    tl.store(out + 4, x // 0)
    tl.store(out + 5, x % 0)
    tl.store(out + 6, -7 // 2)
    tl.store(out + 7, ~x)


def test_integers_divide_as_c_does_and_never_trap():
    assert result(integers, -7, 2) == [-3, -1, -4, 0, -1, -7, -4, 6]


@tiledsl.jit
def comprehension(out, N: tl.constexpr):
    doubled = [i * 2 for i in (1, 2, 3)]
    tl.store(out, doubled[0] + doubled[1] + doubled[2])
    tl.store(out + 1, len(doubled))
    tl.store(out + 2, tl.cdiv(N, 4))


def test_comprehensions_over_tuples():
    assert result(comprehension, N=9, size=3) == [12, 3, 3]


@tiledsl.jit
def two_dimensional(out, x, M: tl.constexpr, N: tl.constexpr):
    rows, columns = tl.arange(0, M), tl.arange(0, N)
    tile = tl.load(x + rows[:, None] * N + columns[None, :])
    tl.store(out + columns[:, None] * M + rows[None, :], tl.trans(tile))
    best, at = tl.max(tile, 1, return_indices=True)
    tl.store(out + M * N + rows, at)
    tl.store(out + M * N + M + rows, tl.sum(tile, axis=1))
    tl.store(out + M * N + 2 * M, tl.argmin(tile, None))
    tl.store(out + M * N + 2 * M + 1 + rows, tl.sum(tl.cumsum(tile, 1) * (tile == best[:, None]).to(tl.int32), 1))


def test_two_dimensional_tiles():
    x = np.random.default_rng(0).permutation(32).astype(np.int32).reshape(4, 8)
    out = result(two_dimensional, x, M=4, N=8, size=32 + 13)
    assert out[:32] == x.T.reshape(-1).tolist()
    assert out[32:36] == x.argmax(1).tolist() and out[36:40] == x.sum(1).tolist() and out[40] == x.argmin()
    assert out[41:] == (x.cumsum(1) * (x == x.max(1, keepdims=True))).sum(1).tolist()


@tiledsl.jit
def histogram(counts, x, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.atomic_add(counts + tl.load(x + i, mask=i < n), 1, mask=i < n)


def test_atomics_count_every_lane():
    x = np.random.default_rng(1).integers(0, 4, 50).astype(np.int32)
    counts = np.zeros(4, np.int32)
    histogram[(4,)](counts, x, 50, BLOCK=16)
    assert counts.tolist() == np.bincount(x).tolist()


@tiledsl.jit
def library_functions(out, x, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out + i, tl.softmax(tl.load(x + i)) + tl.sigmoid(tl.load(x + i)))


def test_functions_written_in_the_language():
    x = np.linspace(-2, 2, 8, dtype=np.float32)
    out = np.zeros(8, np.float32)
    library_functions[(1,)](out, x, BLOCK=8)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(out, np.exp(wide) / np.exp(wide).sum() + 1 / (1 + np.exp(-wide)), rtol=1e-6)


@tiledsl.jit
def recursive(x, DEPTH: tl.constexpr):
    if DEPTH == 0:
        return x
    return recursive(x + DEPTH, DEPTH - 1)


@tiledsl.jit
def calls_itself(out, x, DEPTH: tl.constexpr):
    tl.store(out, recursive(x, DEPTH))


def test_recursion_ends_at_compile_time():
    assert result(calls_itself, 10, DEPTH=4, size=1) == [20]


@tiledsl.jit
def endless(x, DEPTH: tl.constexpr):
    return endless(x, DEPTH + 1)


@tiledsl.jit
def never_ends(out, x):
    tl.store(out, endless(x, 0))


def test_endless_recursion_is_an_error():
    with pytest.raises(CompilationError, match="recursion without end"):
        result(never_ends, 5)


@tiledsl.jit
def defined_in_both(out, n):
    if n > 3:
        late = 1
        other = n
    else:
        late = 2
        other = n * 2
    tl.store(out, late + other)


def test_a_name_both_branches_define_lives_on():
    assert result(defined_in_both, 5, size=1) == [6] and result(defined_in_both, 3, size=1) == [8]


@tiledsl.jit
def loop_variables(out, n):
    acc = tl.zeros((4,), tl.float32)
    last = 0
    for i in tl.range(2, n, 3):
        acc += i
        last = i
    tl.store(out + tl.arange(0, 4), acc)
    tl.store(out + 4, last)


def test_loops_may_run_zero_times():
    assert result(loop_variables, 9, size=5, dtype=np.float32) == [15.0] * 4 + [8.0]
    assert result(loop_variables, 2, size=5, dtype=np.float32) == [0.0] * 5


@tiledsl.jit
def shifted_copy(out, x, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out + i, tl.load(x + i), mask=i < n)
    tl.store(x + i, tl.load(out + i) * 2)


def test_reading_what_nothing_has_written_names_the_line():
    x = np.arange(8, dtype=np.float32)
    shifted_copy[(1,)](tiledsl.empty(8), x, 8, BLOCK=8)
    assert x.tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    with pytest.raises(tiledsl.MemoryFault, match="`out` element 5, which nothing has written") as caught:
        shifted_copy[(1,)](tiledsl.empty(8), x, 5, BLOCK=8)
    assert "tl.load(out + i) * 2" in str(caught.value)
    filled = tiledsl.empty(8)
    filled[5:] = 1
    shifted_copy[(1,)](filled, x, 5, BLOCK=8)
    assert x[5:].tolist() == [2, 2, 2]


@tiledsl.jit
def questions_of_types(x, n):
    tile = tl.load(x + tl.arange(0, 4))
    tl.static_assert(x.type.is_ptr() and x.dtype.is_ptr() and not x.type.is_int8() and not x.type.is_floating() and not x.type.is_const())
    tl.static_assert(tile.type.is_block() and tile.type.scalar.is_fp32() and not tile.dtype.is_ptr() and not n.type.is_block())
    tl.static_assert(x.type.element_ty.is_floating() and x.type.scalar.is_ptr())
    tl.store(x, 2.0)


def test_types_of_pointers_and_blocks_answer_questions():
    x = np.zeros(4, np.float32)
    questions_of_types[(1,)](x, 5)
    assert x[0] == 2


def test_keywords_of_range_are_ignored_as_in_triton_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_CACHE", "0")  # what is kept on disk has been warned of
    out = np.zeros(4, np.int32)
    with pytest.warns(UserWarning, match="`range` ignores step, flatten; give a step as the third argument") as caught:
        every_second[(1,)](out, backend="interpreter")
    assert caught[0].filename == __file__ and (out == [1, 1, 1, 0]).all()


@tiledsl.jit
def every_second(out):
    for i in range(0, 3, step=2, flatten=True):
        tl.store(out + i, 1)
