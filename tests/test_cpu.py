"""The CPU backend gives the interpreter's bits: every op, type, shape and schedule, on one thread and on two."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from tiledsl.backend.base import Buffer, Options
from tiledsl.backends.cpu import Backend
from tiledsl.interpreter import interpret
from tiledsl.ir.core import Kernel
from tiledsl.ir.parser import parse
from tiledsl.ir.types import LOWERED, DType, Pointer, bf16, dtype_of, f16, f32, f64, i1, i8, i16, i32, i64, u8
from tiledsl.ir.verify import verify

CPU = Backend()
FLOATS = [f16, bf16, f32, f64]
INTS = [t for t in LOWERED if t.is_int and t is not i1]


def sample(dtype: DType, size: int, seed: int = 0) -> np.ndarray:
    """Stored elements of a type, with the values that break things among them."""
    rng = np.random.default_rng(seed)
    if dtype is i1:
        return rng.integers(0, 2, size).astype(np.uint8)
    if dtype.is_int:
        info = np.iinfo(dtype.numpy)
        near = rng.integers(-9 if info.min else 0, 9, size)
        wild = rng.integers(info.min, info.max, size, dtype.numpy, endpoint=True)
        edges = rng.choice(np.array([info.min, info.max, 0, 1, info.max // 2], dtype.numpy), size)
        return np.choose(rng.integers(0, 3, size), [near.astype(dtype.numpy), wild, edges])
    wide = rng.standard_normal(size) * 10.0 ** rng.integers(-3, 4, size)
    edges = rng.choice([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 1e-40, 3e38, 65504.0, 2.0**31, -(2.0**31), 2.0**63, 255.5, -0.75], size)
    with np.errstate(all="ignore"):
        return np.ascontiguousarray(dtype.encode(dtype.round(np.where(rng.random(size) < 0.3, edges, wide))))


def tame(dtype: DType, size: int, seed: int = 0) -> np.ndarray:
    """Ordinary numbers."""
    rng = np.random.default_rng(seed)
    if dtype.is_int:
        return sample(dtype, size, seed)
    return np.ascontiguousarray(dtype.encode(dtype.round(rng.standard_normal(size))))


def bits(dtype: DType, stored: np.ndarray) -> np.ndarray:
    """Stored elements as integers, all NaNs alike."""
    raw = stored.view(f"u{stored.dtype.itemsize}").copy()
    if dtype.is_float:
        raw[np.isnan(dtype.decode(stored))] = 0xFFFF
    return raw


def agree(text: str | Kernel, *args: np.ndarray | int | float, grid: Sequence[int] = (1,)) -> list[np.ndarray]:
    """Run on the interpreter and on the CPU with one thread and two; all arrays must end up equal."""
    kernel = parse(text) if isinstance(text, str) else text
    verify(kernel)
    sizes = (*grid, 1, 1)[:3]
    outcomes = []
    program = CPU.compile(kernel, Options())
    for threads in (0, 1, 2):
        memory: dict[int, np.ndarray] = {}
        bound: list[Buffer | int | float] = []
        for arg, param in zip(args, kernel.body.args, strict=True):
            if isinstance(arg, np.ndarray):
                owner = arg if arg.base is None else arg.base  # views of one array stay views of one copy
                copied = memory.setdefault(id(owner), owner.copy())
                view = copied if arg.base is None else copied[(arg.ctypes.data - owner.ctypes.data) // arg.itemsize :][: arg.size]
                assert isinstance(param.type.elem, Pointer)
                bound.append(Buffer(view.ctypes.data, view.nbytes, param.type.elem.to, True, copied, param.name))
            else:
                bound.append(arg)
        if threads:
            CPU.launch(program, sizes, bound, Options(num_threads=threads))
        else:
            interpret(kernel, sizes, bound)
        outcomes.append(list(memory.values()))
    dtypes: dict[int, DType] = {}
    for arg, param in zip(args, kernel.body.args, strict=True):
        if isinstance(arg, np.ndarray):
            dtypes.setdefault(id(arg if arg.base is None else arg.base), param.type.elem.to)
    expected = outcomes[0]
    for found in outcomes[1:]:
        for dtype, x, y in zip(dtypes.values(), expected, found, strict=True):
            different = np.flatnonzero(bits(dtype, x) != bits(dtype, y))
            assert not different.size, f"at {different[:8]}: {dtype.decode(x)[different[:8]]} against {dtype.decode(y)[different[:8]]}\n{program.text['llvm']}"
    return expected


def elements(name: str, pointer: str, dtype: DType, size: int) -> str:
    """Text that loads a one-dimensional tile through pointers."""
    return f"""
  %{name}.r: i32[{size}] = arange {{start=0, stop={size}}}
  %{name}.b: *{dtype}[{size}] = broadcast %{pointer} {{shape=[{size}]}}
  %{name}.p: *{dtype}[{size}] = offset %{name}.b, %{name}.r
  %{name}: {dtype}[{size}] = load %{name}.p"""


def stored(value: str, pointer: str, dtype: DType, size: int) -> str:
    return f"""
  %{pointer}.r: i32[{size}] = arange {{start=0, stop={size}}}
  %{pointer}.b: *{dtype}[{size}] = broadcast %{pointer} {{shape=[{size}]}}
  %{pointer}.p: *{dtype}[{size}] = offset %{pointer}.b, %{pointer}.r
  store %{pointer}.p, %{value}"""


def mapped(op: str, operands: Sequence[DType], result: DType, size: int, attrs: str = "") -> str:
    """A kernel that applies one elementwise op."""
    params = ", ".join([*(f"%a{k}: *{t}" for k, t in enumerate(operands)), f"%out: *{result}"])
    loads = "".join(elements(f"x{k}", f"a{k}", t, size) for k, t in enumerate(operands))
    names = ", ".join(f"%x{k}" for k in range(len(operands)))
    return f"kernel @one({params}) {{{loads}\n  %y: {result}[{size}] = {op} {names}{attrs}{stored('y', 'out', result, size)}\n}}\n"


UNARY = {"neg": None, "abs": None, "sqrt": FLOATS, "floor": FLOATS, "ceil": FLOATS, "trunc": FLOATS, "round": FLOATS, "not": [i1, *INTS]}
BINARY = {
    **dict.fromkeys(["add", "sub", "mul", "maximum", "minimum"]),
    "div": FLOATS,
    "idiv": [i1, *INTS],
    "rem": None,
    **dict.fromkeys(["maximum_nan", "minimum_nan"], FLOATS),
    **dict.fromkeys(["and", "or", "xor", "shl", "shr"], [i1, *INTS]),
    "umulhi": [t for t in INTS if t.bits >= 32],
}
CASES = [(op, n, t) for table, n in ((UNARY, 1), (BINARY, 2)) for op, accepted in table.items() for t in accepted or LOWERED]


@pytest.mark.parametrize(("op", "arity", "dtype"), CASES, ids=lambda x: str(x))
def test_elementwise_ops_agree(op: str, arity: int, dtype: DType) -> None:
    size = 203
    agree(mapped(op, [dtype] * arity, dtype, size), *(sample(dtype, size, k) for k in range(arity)), np.zeros(size, dtype.storage))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_fma_rounds_once(dtype: DType) -> None:
    size = 500
    agree(mapped("fma", [dtype] * 3, dtype, size), *(sample(dtype, size, k) for k in range(3)), np.zeros(size, dtype.storage))


@pytest.mark.parametrize("dtype", LOWERED, ids=str)
def test_comparisons_and_select_agree(dtype: DType) -> None:
    size = 65
    for op in ("eq", "ne", "lt", "le", "gt", "ge"):
        agree(mapped(op, [dtype] * 2, i1, size), sample(dtype, size), sample(dtype, size, 1), np.zeros(size, np.uint8))
    agree(mapped("select", [i1, dtype, dtype], dtype, size), sample(i1, size), sample(dtype, size), sample(dtype, size, 1), np.zeros(size, dtype.storage))


@pytest.mark.parametrize("source", LOWERED, ids=str)
def test_casts_agree(source: DType) -> None:
    size = 300
    for result in LOWERED:
        agree(mapped("cast", [source], result, size, f" {{to={result}}}"), sample(source, size), np.zeros(size, result.storage))


def test_bitcasts_agree() -> None:
    for x, y in itertools.permutations(LOWERED, 2):
        if x.bits == y.bits:
            agree(mapped("bitcast", [x], y, 40, f" {{to={y}}}"), tame(x, 40) if x.is_float else tame(y, 40).view(x.storage), np.zeros(40, y.storage))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 16, 31, 32, 33, 64, 100])
def test_sizes_that_are_no_multiple_of_the_vector(size: int) -> None:
    agree(mapped("add", [f32, f32], f32, size), sample(f32, size), sample(f32, size, 1), np.zeros(size + 40, np.float32))


# --- shapes and blocks


def block(name: str, pointer: str, dtype: DType, shape: Sequence[int], strides: Sequence[int], bounds: dict[int, tuple[str, str]] | None = None, other: str = "") -> str:
    """Text that loads a block with constant strides."""
    lines = [f"\n  %{name}.s{d}: i64 = constant {{value={s}, type=i64}}" for d, s in enumerate(strides)]
    operands = [f"%{pointer}", *(f"%{name}.s{d}" for d in range(len(strides)))]
    operands += [f"%{v}" for pair in (bounds or {}).values() for v in pair] + ([f"%{other}"] if other else [])
    checked = f"[{', '.join(map(str, bounds or {}))}]"
    lines.append(f"\n  %{name}: {tile(dtype, shape)} = load_block {', '.join(operands)} {{shape=[{','.join(map(str, shape))}], checked={checked}, masked=false, filled={str(bool(other)).lower()}}}")
    return "".join(lines)


def block_store(value: str, pointer: str, shape: Sequence[int], strides: Sequence[int], bounds: dict[int, tuple[str, str]] | None = None) -> str:
    lines = [f"\n  %{pointer}.t{d}: i64 = constant {{value={s}, type=i64}}" for d, s in enumerate(strides)]
    operands = [f"%{pointer}", f"%{value}", *(f"%{pointer}.t{d}" for d in range(len(strides)))] + [f"%{v}" for pair in (bounds or {}).values() for v in pair]
    lines.append(f"\n  store_block {', '.join(operands)} {{checked=[{', '.join(map(str, bounds or {}))}], masked=false}}")
    return "".join(lines)


def tile(dtype: DType, shape: Sequence[int]) -> str:
    return f"{dtype}[{','.join(map(str, shape))}]" if shape else str(dtype)


def dense(shape: Sequence[int]) -> list[int]:
    return [int(np.prod(shape[d + 1 :])) for d in range(len(shape))]


@pytest.mark.parametrize("dtype", [f32, bf16, i8, f64], ids=str)
@pytest.mark.parametrize(("lo", "hi"), [(0, 100), (0, 37), (3, 50), (-5, 200), (10, 4), (0, 0), (99, 100), (0, 96)])
def test_bounds_of_a_block(dtype: DType, lo: int, hi: int) -> None:
    text = f"kernel @k(%x: *{dtype}, %y: *{dtype}, %lo: i64, %hi: i64, %fill: {dtype}) {{"
    text += block("a", "x", dtype, [100], [1], {0: ("lo", "hi")}, "fill")
    text += f"\n  %b: {dtype}[100] = add %a, %a" + block_store("b", "y", [100], [1]) + "\n}\n"
    agree(text, sample(dtype, 100), np.zeros(100, dtype.storage), lo, hi, 7)
    text = f"kernel @k(%x: *{dtype}, %y: *{dtype}, %lo: i64, %hi: i64) {{"
    text += block("a", "x", dtype, [100], [1], {0: ("lo", "hi")})
    text += f"\n  %b: {dtype}[100] = add %a, %a" + block_store("b", "y", [100], [1], {0: ("lo", "hi")}) + "\n}\n"
    agree(text, sample(dtype, 100), np.zeros(100, dtype.storage), lo, hi)


@pytest.mark.parametrize("strides", [([20, 1], [20, 1]), ([1, 6], [20, 1]), ([20, 1], [1, 6]), ([20, -1], [40, 2]), ([0, 1], [1, 10]), ([0, 0], [20, 1]), ([20, 1], [3, 1])], ids=str)
def test_blocks_of_two_dimensions(strides: tuple[list[int], list[int]]) -> None:
    start = 19 if -1 in strides[0] else 0
    text = "kernel @k(%x: *f32, %y: *f32, %m: i64, %n: i64, %start: i32) {\n  %zero: i64 = constant {value=0, type=i64}\n  %p: *f32 = offset %x, %start"
    bounds = {0: ("zero", "m"), 1: ("zero", "n")}
    text += block("a", "p", f32, [6, 20], strides[0], bounds) + "\n  %b: f32[6,20] = neg %a" + block_store("b", "y", [6, 20], strides[1], bounds) + "\n}\n"
    for m, n in ((6, 20), (5, 17), (0, 3), (1, 1)):
        agree(text, sample(f32, 200), np.zeros(400, np.float32), m, n, start)


def test_broadcast_transpose_and_reshape() -> None:
    text = "kernel @k(%x: *f32, %y: *f32, %z: *f32) {"
    text += block("a", "x", f32, [12, 40], [40, 1]) + block("row", "x", f32, [1, 12], [0, 3]) + block("one", "x", f32, [1], [0])
    text += """
  %t: f32[40,12] = transpose %a {order=[1,0]}
  %wide: f32[40,12] = broadcast %row {shape=[40,12]}
  %sum: f32[40,12] = mul %t, %wide
  %flat: f32[480] = reshape %sum {shape=[480]}
  %cube: f32[4,5,24] = reshape %flat {shape=[4,5,24]}
  %turned: f32[24,4,5] = transpose %cube {order=[2,0,1]}
  %s: f32 = reshape %one {shape=[]}
  %fill: f32[24,4,5] = broadcast %s {shape=[24,4,5]}
  %out: f32[24,4,5] = add %turned, %fill
  %thin: f32[24,1,4,5,1] = reshape %out {shape=[24,1,4,5,1]}"""
    text += block_store("out", "y", [24, 4, 5], dense([24, 4, 5])) + block_store("thin", "z", [24, 1, 4, 5, 1], dense([24, 1, 4, 5, 1])) + "\n}\n"
    agree(text.replace("shape=[]", "shape=[]"), sample(f32, 480), np.zeros(480, np.float32), np.zeros(480, np.float32))


# --- folds


def folded(op: str, dtype: DType, shape: Sequence[int], axis: int, combine: str, attrs: str = "", bounded: bool = False) -> str:
    result = [*shape[:axis], *shape[axis + 1 :]] if op == "reduce" else list(shape)
    text = f"kernel @fold(%x: *{dtype}, %y: *{dtype}, %n: i64, %fill: {dtype}) {{\n  %zero: i64 = constant {{value=0, type=i64}}"
    last = len(shape) - 1
    text += block("a", "x", dtype, shape, dense(shape), {last: ("zero", "n")} if bounded else None, "fill" if bounded else "")
    text += f"\n  %r: {tile(dtype, result)} = {op} %a {{axis={axis}{attrs}}} {{\n  ^(%p: {dtype}, %q: {dtype}):{combine}\n  }}"
    if result:
        return text + block_store("r", "y", result, dense(result)) + "\n}\n"
    return text + "\n  store %y, %r\n}\n"


COMBINES = {
    "add": "\n    %c: {t} = add %p, %q\n    yield %c",
    "max": "\n    %c: {t} = maximum %p, %q\n    yield %c",
    "odd": "\n    %d: {t} = add %p, %p\n    %c: {t} = sub %d, %q\n    yield %c",
    "last": "\n    yield %q",
}
SHAPES = [((1,), 0), ((8,), 0), ((16,), 0), ((32,), 0), ((64,), 0), ((1024,), 0), ((96,), 0), ((5,), 0), ((33,), 0), ((100,), 0), ((4, 16), 1), ((4, 16), 0),
          ((70, 9), 0), ((3, 64), 1), ((64, 3), 0), ((2, 40, 5), 1), ((3, 4, 128), 2), ((33, 2, 2), 0), ((6, 1), 1), ((1, 6), 0), ((128, 1), 0)]  # fmt: skip


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_reductions_agree(shape: tuple[int, ...], axis: int, combine: str) -> None:
    size = int(np.prod(shape))
    for dtype in (f32, f16, i8, i64) if combine != "odd" else (f32, i32):
        body = COMBINES[combine].format(t=dtype)
        agree(folded("reduce", dtype, shape, axis, body), tame(dtype, size), np.zeros(size, dtype.storage), 0, 0)
    agree(folded("reduce", f32, shape, axis, COMBINES[combine].format(t=f32), bounded=True), sample(f32, size), np.zeros(size, np.float32), shape[-1] * 2 // 3, -1.5)


@pytest.mark.parametrize("op", ["add", "mul", "maximum", "minimum", "maximum_nan", "minimum_nan", "and", "or", "xor"])
def test_neutral_elements_change_nothing(op: str) -> None:
    for dtype in [i1, *INTS] if op in ("and", "or", "xor") else FLOATS if "nan" in op else LOWERED:
        values = sample(dtype, 128)
        if dtype.is_float:
            values[::3] = dtype.encode(dtype.round(np.array([-0.0])))[0]
        agree(folded("reduce", dtype, [128], 0, f"\n    %c: {dtype} = {op} %p, %q\n    yield %c"), values, np.zeros(1, dtype.storage), 0, 0)
    for value in (np.nan, -0.0, np.inf, -np.inf):
        if op not in ("and", "or", "xor"):
            agree(folded("reduce", f32, [64], 0, f"\n    %c: f32 = {op} %p, %q\n    yield %c"), np.full(64, value, np.float32), np.zeros(1, np.float32), 0, 0)


@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_scans_agree(shape: tuple[int, ...], axis: int) -> None:
    size = int(np.prod(shape))
    for reverse in ("true", "false"):
        for dtype in (f32, bf16, i32):
            agree(folded("scan", dtype, shape, axis, COMBINES["add"].format(t=dtype), f", reverse={reverse}"), tame(dtype, size), np.zeros(size, dtype.storage), 0, 0)


@pytest.mark.parametrize(("shape", "axis"), [((64,), 0), ((5, 32), 1), ((40, 6), 0), ((7,), 0)], ids=str)
def test_a_reduction_of_two_operands(shape: tuple[int, ...], axis: int) -> None:
    rest = [*shape[:axis], *shape[axis + 1 :]]
    count = shape[axis]
    wide = [count if d == axis else 1 for d in range(len(shape))]
    text = "kernel @argmax(%x: *f32, %v: *f32, %i: *i32) {" + block("a", "x", f32, shape, dense(shape))
    text += f"""
  %range: i32[{count}] = arange {{start=0, stop={count}}}
  %thin: {tile(i32, wide)} = reshape %range {{shape={wide}}}
  %index: {tile(i32, shape)} = broadcast %thin {{shape={list(shape)}}}
  %best: {tile(f32, rest)}, %place: {tile(i32, rest)} = reduce %a, %index {{axis={axis}}} {{
  ^(%p: f32, %j: i32, %q: f32, %k: i32):
    %more: i1 = gt %p, %q
    %same: i1 = eq %p, %q
    %less: i1 = lt %j, %k
    %tie: i1 = and %same, %less
    %first: i1 = or %more, %tie
    %b: f32 = select %first, %p, %q
    %c: i32 = select %first, %j, %k
    yield %b, %c
  }}"""
    text += (block_store("best", "v", rest, dense(rest)) + block_store("place", "i", rest, dense(rest)) if rest else "\n  store %v, %best\n  store %i, %place") + "\n}\n"
    values = np.random.default_rng(0).integers(0, 9, int(np.prod(shape))).astype(np.float32)
    agree(text, values, np.zeros(values.size, np.float32), np.zeros(values.size, np.int32))


# --- products


@pytest.mark.parametrize("dtype", [f32, f16, bf16, f64, i8, u8], ids=str)
@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (16, 32, 8), (5, 7, 3), (64, 64, 32), (13, 48, 10), (2, 40, 33), (32, 1, 16)], ids=str)
def test_products_agree(dtype: DType, m: int, n: int, k: int) -> None:
    acc = {f64: f64, i8: i32, u8: i32}.get(dtype, f32)
    text = f"kernel @dot(%x: *{dtype}, %w: *{dtype}, %y: *{acc}) {{" + block("a", "x", dtype, [m, k], [k, 1]) + block("b", "w", dtype, [k, n], [n, 1])
    text += block("c", "y", acc, [m, n], [n, 1]) + f"\n  %d: {tile(acc, [m, n])} = dot %a, %b, %c" + block_store("d", "y", [m, n], [n, 1]) + "\n}\n"
    agree(text, tame(dtype, m * k), tame(dtype, k * n, 1), tame(acc, m * n, 2))
    text = text.replace(f"{{value={n}, type=i64}}\n  %b.s1: i64 = constant {{value=1", f"{{value=1, type=i64}}\n  %b.s1: i64 = constant {{value={k}")
    agree(text, tame(dtype, m * k), tame(dtype, k * n, 1), tame(acc, m * n, 2))


MATMUL = """kernel @matmul(%x: *f16, %w: *f16, %y: *f32, %m: i64, %n: i64, %k: i64) {
  %zero: i64 = constant {value=0, type=i64}
  %one: i64 = constant {value=1, type=i64}
  %bk: i64 = constant {value=16, type=i64}
  %bm: i64 = constant {value=32, type=i64}
  %px: i32 = program_id {axis=0}
  %py: i32 = program_id {axis=1}
  %qx: i64 = cast %px {to=i64}
  %qy: i64 = cast %py {to=i64}
  %i: i64 = mul %qx, %bm
  %j: i64 = mul %qy, %bm
  %rows: i64 = sub %m, %i
  %columns: i64 = sub %n, %j
  %ik: i64 = mul %i, %k
  %a0: *f16 = offset %x, %ik
  %b0: *f16 = offset %w, %j
  %in: i64 = mul %i, %n
  %inj: i64 = add %in, %j
  %c0: *f32 = offset %y, %inj
  %nothing: f32[32,32] = constant {value=0.0, type=f32[32,32]}
  %step: i64 = mul %bk, %n
  %sum: f32[32,32], %pa: *f16, %pb: *f16 = for %zero, %k, %bk, %nothing, %a0, %b0 {
  ^(%t: i64, %acc: f32[32,32], %ap: *f16, %bp: *f16):
    %left: i64 = sub %k, %t
    %a: f16[32,16] = load_block %ap, %k, %one, %zero, %rows, %zero, %left {shape=[32,16], checked=[0,1], masked=false, filled=false}
    %b: f16[16,32] = load_block %bp, %n, %one, %zero, %left, %zero, %columns {shape=[16,32], checked=[0,1], masked=false, filled=false}
    %d: f32[32,32] = dot %a, %b, %acc
    %an: *f16 = offset %ap, %bk
    %bn: *f16 = offset %bp, %step
    yield %d, %an, %bn
  }
  %half: f32 = constant {value=0.5, type=f32}
  %halves: f32[32,32] = broadcast %half {shape=[32,32]}
  %scaled: f32[32,32] = mul %sum, %halves
  store_block %c0, %scaled, %n, %one, %zero, %rows, %zero, %columns {checked=[0,1], masked=false}
}
"""


@pytest.mark.parametrize(("m", "n", "k"), [(64, 64, 64), (50, 70, 41), (3, 5, 1)])
def test_a_whole_matrix_product(m: int, n: int, k: int) -> None:
    agree(MATMUL, tame(f16, m * k), tame(f16, k * n), np.zeros(m * n, np.float32), m, n, k, grid=(-(-m // 32), -(-n // 32)))


# --- control


def test_loops_carry_scalars_and_tiles() -> None:
    text = "kernel @k(%x: *f32, %y: *f32, %lo: i32, %hi: i32, %step: i32) {" + block("a", "x", f32, [2, 20], [20, 1]) + block("c", "x", f32, [2, 20], [0, 2])
    text += """
  %s: i32, %u: f32[2,20], %v: f32[2,20], %w: f32[2,20] = for %lo, %hi, %step, %lo, %a, %c, %c {
  ^(%i: i32, %t: i32, %p: f32[2,20], %q: f32[2,20], %o: f32[2,20]):
    %n: i32 = add %t, %i
    %f: f32 = cast %i {to=f32}
    %wide: f32[2,20] = broadcast %f {shape=[2,20]}
    %r: f32[2,20] = sub %q, %wide
    %z: f32[2,20] = mul %p, %o
    yield %n, %r, %p, %z
  }
  %g: f32 = cast %s {to=f32}
  %wg: f32[2,20] = broadcast %g {shape=[2,20]}
  %e: f32[2,20] = add %u, %wg
  %e2: f32[2,20] = sub %e, %w"""
    text += block_store("e2", "y", [2, 20], [20, 1]) + "\n  %off: i32 = constant {value=40, type=i32}\n  %y2: *f32 = offset %y, %off" + block_store("v", "y2", [2, 20], [20, 1]) + "\n}\n"
    for lo, hi, step in ((0, 5, 1), (0, 5, 2), (5, 0, -2), (3, 3, 1), (0, 3, 0), (7, 2, 1), (2**31 - 3, 2**31 - 1, 5), (-(2**31), 2**31 - 1, 2**30)):
        agree(text, tame(f32, 80), np.zeros(80, np.float32), lo, hi, step)


@pytest.mark.parametrize("index", INTS, ids=str)
def test_loop_indices_of_every_type(index: DType) -> None:
    info = np.iinfo(index.numpy)
    text = f"kernel @k(%y: *{index}, %lo: {index}, %hi: {index}, %step: {index}) {{\n  %r: {index} = for %lo, %hi, %step, %lo {{\n  ^(%i: {index}, %c: {index}):"
    text += f"\n    %t: {index} = constant {{value=3, type={index}}}\n    %m: {index} = mul %c, %t\n    %n: {index} = add %m, %i\n    yield %n\n  }}\n  store %y, %r\n}}\n"
    cases = [(0, 5, 1), (info.max - 5, info.max, 3), (info.min, info.min + 4, 1), (info.min, info.max, info.max // 2)]
    for lo, hi, step in cases + ([(5, -3, -2), (0, info.min, info.min)] if info.min else []):
        agree(text, np.zeros(1, index.storage), lo, hi, step)


def test_while_carries_scalars_and_tiles() -> None:
    text = "kernel @k(%x: *f32, %y: *f32, %limit: i32) {" + block("a", "x", f32, [37], [1])
    text += """
  %zero: i32 = constant {value=0, type=i32}
  %n: i32, %r: f32[37] = while %zero, %a {
  ^(%i: i32, %t: f32[37]):
    %total: f32 = reduce %t {axis=0} {
    ^(%p: f32, %q: f32):
      %m: f32 = maximum %p, %q
      yield %m
    }
    %big: f32 = constant {value=100.0, type=f32}
    %small: i1 = lt %total, %big
    %early: i1 = lt %i, %limit
    %go: i1 = and %small, %early
    yield %go
  ^(%j: i32, %u: f32[37]):
    %one: i32 = constant {value=1, type=i32}
    %next: i32 = add %j, %one
    %double: f32[37] = add %u, %u
    yield %next, %double
  }
  %f: f32 = cast %n {to=f32}
  %wide: f32[37] = broadcast %f {shape=[37]}
  %out: f32[37] = add %r, %wide"""
    for limit in (0, 3, 1000):
        agree(text + block_store("out", "y", [37], [1]) + "\n}\n", tame(f32, 37), np.zeros(37, np.float32), limit)


def test_branches_choose_tiles_and_effects() -> None:
    text = "kernel @k(%x: *f32, %y: *f32, %c: i1) {" + block("a", "x", f32, [50], [1])
    text += """
  %b: f32[50], %s: f32 = if %c {
  ^():
    %n: f32[50] = neg %a
    %one: f32 = constant {value=1.0, type=f32}
    store %y, %one
    yield %n, %one
  ^():
    %two: f32 = constant {value=2.0, type=f32}
    yield %a, %two
  }
  %wide: f32[50] = broadcast %s {shape=[50]}
  %r: f32[50] = mul %b, %wide
  %off: i32 = constant {value=1, type=i32}
  %y1: *f32 = offset %y, %off"""
    for c in (0, 1):
        agree(text + block_store("r", "y1", [50], [1]) + "\n}\n", sample(f32, 50), np.zeros(51, np.float32), c)


# --- memory


@pytest.mark.parametrize("dtype", [i1, u8, i16, f16, bf16, f32, i64, f64], ids=str)
def test_gather_and_scatter(dtype: DType) -> None:
    size = 77
    text = f"kernel @k(%x: *{dtype}, %at: *i32, %to: *i32, %m: *i1, %y: *{dtype}) {{" + elements("i", "at", i32, size) + elements("j", "to", i32, size) + elements("mask", "m", i1, size)
    text += f"""
  %xb: *{dtype}[{size}] = broadcast %x {{shape=[{size}]}}
  %xp: *{dtype}[{size}] = offset %xb, %i
  %first: {dtype} = load %x
  %other: {dtype}[{size}] = broadcast %first {{shape=[{size}]}}
  %v: {dtype}[{size}] = load %xp, %mask, %other
  %w: {dtype}[{size}] = load %xp, %mask
  %e: i1[{size}] = eq %v, %w
  %z: {dtype}[{size}] = select %e, %v, %other
  %yb: *{dtype}[{size}] = broadcast %y {{shape=[{size}]}}
  %yp: *{dtype}[{size}] = offset %yb, %j
  store %yp, %z, %mask
}}
"""
    rng = np.random.default_rng(3)
    at, to = (rng.integers(0, 30, size).astype(np.int32) for _ in range(2))
    mask = rng.integers(0, 2, size).astype(np.uint8)
    at[mask == 0] = 2**30  # lanes that must not be read
    agree(text, tame(dtype, 30), at, to, mask, np.zeros(30, dtype.storage))


@pytest.mark.parametrize("dtype", [i32, u8, i16, i64, f32, f16, bf16, f64], ids=str)
@pytest.mark.parametrize("kind", ["add", "max", "min", "xchg", "and", "or", "xor"])
def test_atomics_agree(dtype: DType, kind: str) -> None:
    if dtype.is_float and kind in ("and", "or", "xor"):
        return
    size = 45
    text = f"kernel @k(%x: *{dtype}, %to: *i32, %m: *i1, %y: *{dtype}, %z: *{dtype}) {{" + elements("v", "x", dtype, size) + elements("j", "to", i32, size) + elements("mask", "m", i1, size)
    text += f"""
  %yb: *{dtype}[{size}] = broadcast %y {{shape=[{size}]}}
  %yp: *{dtype}[{size}] = offset %yb, %j
  %old: {dtype}[{size}] = atomic_rmw %yp, %v, %mask {{kind={kind}}}
  %all: {dtype}[{size}] = atomic_rmw %yp, %v {{kind={kind}}}
  %first: {dtype} = load %x
  %one: {dtype} = atomic_rmw %y, %first {{kind={kind}}}
  %o: {dtype}[{size}] = broadcast %one {{shape=[{size}]}}
  %s1: {dtype}[{size}] = maximum %old, %all
  %s: {dtype}[{size}] = minimum %s1, %o{stored("s", "z", dtype, size)}
}}
"""
    rng = np.random.default_rng(3)
    agree(text, sample(dtype, size), rng.integers(0, 9, size).astype(np.int32), rng.integers(0, 2, size).astype(np.uint8), sample(dtype, 9, 5), np.zeros(size, dtype.storage))


@pytest.mark.parametrize("dtype", [i32, i64, f32, f16, u8], ids=str)
def test_compare_and_swap_agrees(dtype: DType) -> None:
    size = 20
    text = f"kernel @k(%x: *{dtype}, %w: *{dtype}, %to: *i32, %y: *{dtype}, %z: *{dtype}) {{" + elements("e", "x", dtype, size) + elements("v", "w", dtype, size) + elements("j", "to", i32, size)
    text += f"\n  %yb: *{dtype}[{size}] = broadcast %y {{shape=[{size}]}}\n  %yp: *{dtype}[{size}] = offset %yb, %j\n  %old: {dtype}[{size}] = atomic_cas %yp, %e, %v{stored('old', 'z', dtype, size)}\n}}\n"
    few = np.random.default_rng(1).integers(0, 3, (3, size))
    x, w, y = (np.ascontiguousarray(dtype.encode(dtype.round(f.astype(np.float64))) if dtype.is_float else f.astype(dtype.storage)) for f in few)
    agree(text, x, w, np.random.default_rng(2).integers(0, 5, size).astype(np.int32), y, np.zeros(size, dtype.storage))


def test_a_load_keeps_its_place_before_a_store() -> None:
    text = "kernel @k(%x: *f32, %y: *f32) {" + block("a", "x", f32, [100], [1]) + "\n  %b: f32[100] = neg %a" + block_store("b", "y", [100], [1])
    text += block("c", "x", f32, [100], [1]) + "\n  %d: f32[100] = add %a, %c\n  %h: i32 = constant {value=100, type=i32}\n  %y2: *f32 = offset %y, %h" + block_store("d", "y2", [100], [1]) + "\n}\n"
    agree(text, tame(f32, 100), np.zeros(200, np.float32))
    for shift in (0, 1, 3, 20):  # the output overlaps the input
        whole = tame(f32, 400)
        agree(text, whole[shift : shift + 100], whole[:200])
        agree(text, whole[:100], whole[shift : shift + 200])


def test_in_place_through_one_pointer() -> None:
    text = "kernel @k(%x: *f32) {" + block("a", "x", f32, [100], [1]) + "\n  %b: f32[100] = neg %a" + block_store("b", "x", [100], [1])
    text += "\n  %one: i32 = constant {value=1, type=i32}\n  %p: *f32 = offset %x, %one" + block("c", "x", f32, [100], [1]).replace("%c", "%c") + block_store("c", "p", [100], [1])
    text += block("d", "p", f32, [10, 10], [10, 1]) + "\n  %t: f32[10,10] = transpose %d {order=[1,0]}" + block_store("t", "p", [10, 10], [10, 1]).replace(".t", ".u") + "\n}\n"
    agree(text, tame(f32, 120))


def test_a_loop_that_reads_what_it_wrote() -> None:
    text = "kernel @k(%x: *f32, %n: i32) {" + block("a", "x", f32, [40], [1])
    text += """
  %zero: i32 = constant {value=0, type=i32}
  %one: i32 = constant {value=1, type=i32}
  for %zero, %n, %one {
  ^(%i: i32):
    %p: *f32 = offset %x, %i""" + block("b", "p", f32, [40], [1]) + "\n    %c: f32[40] = add %a, %b\n    %q: *f32 = offset %p, %one" + block_store("c", "q", [40], [1]) + "\n    yield\n  }\n}\n"
    agree(text, tame(f32, 60), 5)


def test_a_grid_of_three_axes() -> None:
    text = """kernel @k(%y: *i32) {
  %x: i32 = program_id {axis=0}
  %b: i32 = program_id {axis=1}
  %c: i32 = program_id {axis=2}
  %nx: i32 = num_programs {axis=0}
  %ny: i32 = num_programs {axis=1}
  %nz: i32 = num_programs {axis=2}
  %t: i32 = mul %c, %ny
  %u: i32 = add %t, %b
  %v: i32 = mul %u, %nx
  %w: i32 = add %v, %x
  %p: *i32 = offset %y, %w
  %o: i32 = mul %w, %nz
  store %p, %o
}
"""
    agree(text, np.zeros(3 * 5 * 7, np.int32), grid=(3, 5, 7))
