"""Kernels as text, arrays that break things, and the comparison of the CPU backend with the interpreter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tiledsl.backend.base import Buffer, Options
from tiledsl.backends.cpu import Backend
from tiledsl.interpreter import interpret
from tiledsl.ir.core import Kernel
from tiledsl.ir.parser import parse
from tiledsl.ir.types import LOWERED, DType, Pointer, bf16, f16, f32, f64, i1
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
    edges = rng.choice(
        [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 1e-40, 3e38, 65504.0, 2.0**31, -(2.0**31), 2.0**63, 255.5, -0.75], size
    )
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
            assert not different.size, (
                f"at {different[:8]}: {dtype.decode(x)[different[:8]]} against {dtype.decode(y)[different[:8]]}\n{program.text['llvm']}"
            )
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


def block(
    name: str,
    pointer: str,
    dtype: DType,
    shape: Sequence[int],
    strides: Sequence[int],
    bounds: dict[int, tuple[str, str]] | None = None,
    other: str = "",
) -> str:
    """Text that loads a block with constant strides."""
    lines = [f"\n  %{name}.s{d}: i64 = constant {{value={s}, type=i64}}" for d, s in enumerate(strides)]
    operands = [f"%{pointer}", *(f"%{name}.s{d}" for d in range(len(strides)))]
    operands += [f"%{v}" for pair in (bounds or {}).values() for v in pair] + ([f"%{other}"] if other else [])
    checked = f"[{', '.join(map(str, bounds or {}))}]"
    lines.append(
        f"\n  %{name}: {tile(dtype, shape)} = load_block {', '.join(operands)} "
        f"{{shape=[{','.join(map(str, shape))}], checked={checked}, masked=false, filled={str(bool(other)).lower()}}}"
    )
    return "".join(lines)


def block_store(
    value: str, pointer: str, shape: Sequence[int], strides: Sequence[int], bounds: dict[int, tuple[str, str]] | None = None
) -> str:
    lines = [f"\n  %{pointer}.t{d}: i64 = constant {{value={s}, type=i64}}" for d, s in enumerate(strides)]
    operands = [f"%{pointer}", f"%{value}", *(f"%{pointer}.t{d}" for d in range(len(strides)))] + [
        f"%{v}" for pair in (bounds or {}).values() for v in pair
    ]
    lines.append(f"\n  store_block {', '.join(operands)} {{checked=[{', '.join(map(str, bounds or {}))}], masked=false}}")
    return "".join(lines)


def tile(dtype: DType, shape: Sequence[int]) -> str:
    return f"{dtype}[{','.join(map(str, shape))}]" if shape else str(dtype)


def dense(shape: Sequence[int]) -> list[int]:
    return [int(np.prod(shape[d + 1 :])) for d in range(len(shape))]
