"""The language's types: what the reference frontend answers when asked, expression by expression."""

from __future__ import annotations

import linecache

import pytest

import tiledsl.language as tl
from tiledsl.errors import CompilationError, TypeRuleError
from tiledsl.frontend.function import JITFunction
from tiledsl.frontend.lower import lower_function
from tiledsl.frontend.signature import Parameter, Signature
from tiledsl.ir.types import DTYPES, Pointer, Tile
from tiledsl.ir.verify import verify
from tiledsl.language.core import METHODS, Builtin, Library, builtin

TYPES = ["i1", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64"]
LOADS = "".join(f"    {t} = tl.load(p_{t} + r)\n" for t in TYPES)
COUNT = 0


def make(body: str, *params: Parameter, name: str = "kernel") -> JITFunction:
    """A jit function from text; the file exists for those who quote its lines."""
    global COUNT
    COUNT += 1
    file = f"<kernel {COUNT}>"
    text = f"def {name}({', '.join(p.name for p in params)}):\n{body}"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    scope = {"tl": tl, "combine": _combine, "probe": probe}
    exec(compile(text, file, "exec"), scope)
    return JITFunction(scope[name])


SEEN: list[str] = []


@builtin
def probe(ctx, value):
    """Note the type of a value."""
    parts = value if isinstance(value, tuple) else (value,)
    SEEN[:] = [str(v.type.elem) for v in parts]


@JITFunction
def _combine(a, b):
    return a + b


def type_of(expression: str) -> str:
    """The type of an expression over one tile of four elements per type, `pid` an i32 scalar, `n` a constexpr 3."""
    pointers = [Parameter(f"p_{t}", Tile(Pointer(DTYPES[t]))) for t in TYPES]
    body = f"    r = tl.arange(0, 4)\n    pid = tl.program_id(0)\n{LOADS}    result = {expression}\n    probe(result)\n"
    kernel = lower_function(make(body, *pointers, Parameter("n", value=3)), Signature((*pointers, Parameter("n", value=3))))
    verify(kernel)
    return ", ".join(SEEN)


FACTS = {
    "i8 + 1": "i8",
    "i1.logical_and(i1)": "i1",
    "i1.logical_or(True)": "i1",
    "i32.cdiv(8)": "i32",
    "f32.softmax()": "f32",
    "f16.to(tl.float16, fp_downcast_rounding='rtz')": "f16",
    "f16 * 2.0": "f16",
    "i32 * 2.0": "f32",
    "i64 * 2.0": "f32",
    "bf16 + i32": "f32",
    "f16 + i32": "f16",
    "f16 + pid": "f16",
    "f16 + bf16": "f16",
    "f16 / f16": "f32",
    "f16 / 2.0": "f32",
    "bf16 % bf16": "f32",
    "i32 / i32": "f32",
    "i64 / i64": "f32",
    "i32 / 2": "f32",
    "f64 / i32": "f64",
    "i32 + u32": "u32",
    "i64 + u32": "i64",
    "i8 + u8": "u8",
    "i1 + i1": "i1",
    "~i1": "i1",
    "-i1": "i1",
    "i1 + 1": "i32",
    "i1 & 1": "i32",
    "i1 * i8": "i8",
    "i8 + pid": "i32",
    "f16 + tl.sum(f32)": "f32",
    "tl.sum(i1)": "u32",
    "tl.sum(i8)": "i32",
    "tl.sum(f16)": "f16",
    "tl.sum(bf16)": "bf16",
    "tl.max(f16)": "f32",
    "tl.max(bf16)": "f32",
    "tl.max(i8)": "i32",
    "tl.max(u8)": "i32",
    "tl.max(f16, 0, return_indices=True)": "f16, i32",
    "tl.cumsum(f16, 0)": "f16",
    "tl.cumsum(bf16, 0)": "f32",
    "tl.cumsum(i8, 0)": "i32",
    "tl.cumsum(i1, 0)": "u32",
    "tl.cumprod(i8, 0)": "i8",
    "tl.maximum(f16, 0.0)": "f32",
    "tl.maximum(i8, 0)": "i32",
    "tl.maximum(bf16, bf16)": "f32",
    "tl.clamp(bf16, 0., 1.)": "f32",
    "tl.where(i1, f16, 0.0)": "f16",
    "tl.where(i1, f16, f32)": "f32",
    "tl.where(i1, 1, 0)": "i32",
    "tl.where(i1, i8, 0)": "i8",
    "tl.abs(bf16)": "bf16",
    "tl.fma(f16, f16, f16)": "f16",
    "tl.exp(f16)": "f16",
    "bf16.sqrt()": "bf16",
    "tl.argmax(f32, 0)": "i32",
    "tl.xor_sum(i8, 0)": "i8",
    "i8 < 300": "i1",
    "f16 > 0.0": "i1",
    "i32 // 2": "i32",
    "i32 >> 1": "i32",
    "u8 << 1": "u8",
    "f32.to(tl.bfloat16)": "bf16",
    "f32.to(tl.int32, bitcast=True)": "i32",
    "tl.cast(i64, tl.float64)": "f64",
    "f32.sum()": "f32",
    "p_f32 + i64": "*f32",
    "p_f32[None, None, :] + i64": "*f32",
    "tl.reduce(f32, 0, combine)": "f32",
    "tl.associative_scan(f32, 0, combine)": "f32",
    "tl.dot(f16[:, None] + f16[None, :], f16[:, None] + f16[None, :])": "f32",
    "tl.dot(tl.zeros((4, 4), tl.float8e5), tl.zeros((4, 4), tl.float8e5), out_dtype=tl.float16)": "f16",
    "tl.dot(tl.zeros((4, 4), tl.float8e5), tl.zeros((4, 4), tl.float8e4nv))": "f32",
    "tl.dot(i8[:, None] + i8[None, :], i8[:, None] + i8[None, :])": "i32",
    "tl.full((4,), 1, tl.int8)": "i8",
    "tl.zeros((4, 2), tl.float64)": "f64",
    "tl.zeros_like(bf16)": "bf16",
    "3": "i32",
    "2.5": "f32",
    "1e-50": "f64",
    "3000000000": "u32",
    "-7 // 2": "i32",
    "n + 1": "i32",
}


@pytest.mark.parametrize("expression", FACTS)
def test_an_expression_has_the_type_that_triton_gives_it(expression: str) -> None:
    assert type_of(expression) == FACTS[expression]


def test_constants_are_computed_by_python() -> None:
    body = "    x = -7 // 2\n    y = -7 % n\n    tl.static_assert(-7 // 2 == -4)\n    tl.static_assert(-7 % n == 2)\n"
    kernel = lower_function(make(body, Parameter("n", value=3)), Signature((Parameter("n", value=3),)))
    assert [op.attrs["value"] for op in kernel.body.ops] == [-4, 2]


REFUSED = {
    "tl.exp(i32)": "Expected dtype ['fp32', 'fp64'] but got int32",
    "tl.make_tensor_descriptor(p_f16, [8, 8], [8, 1], [8, 8]).atomic_min([0, 0], 1.0)": "atomic_min of a descriptor does not support fp16",
    "tl.sqrt_rn(f16)": "Expected dtype ['fp32'] but got fp16",
    "tl.make_tensor_descriptor(p_f16, [8, 8], [8, 1], [8, 4])": "at least 16 bytes in the last dimension, but got 4 * 2 = 8 bytes",
    "u32 + (-1)": "-1 is out of range for type uint32",
    "i8 + 300": "300 is out of range for type int8",
    "f32 // 2": "takes integers",
    "i32 // u32": "different signedness",
    "tl.arange(0, pid)": "tl.constexpr",
    "tl.dot(f32, f32)": "two-dimensional",
    "f32[4]": "out of range",
    "f32[r]": "tl.gather",
    "f32[pid:]": "compile-time ints",
    "f32[2:2]": "is empty",
    "f32[..., ...]": "at most one",
    "f32[:, 0]": "unsupported tensor index: 2 axes are indexed",
    "f32[1.5]": "indexed by ints",
    "f32 ** 2": "compile-time",
    "p_f32 + f32": "offset a pointer by an integer",
    "p_f32 + p_f32": "cannot compute",
    "i32 and i1": "takes int1",
    "not i32": "takes int1",
    "tl.load(f32)": "expected a pointer",
    "tl.store(p_f32, f32)": "fewer elements",
    "tl.store(p_f32 + r, p_f32 + r)": "an address is no number",
    "f32.to(tl.pointer_type(tl.float32))": "to a pointer",
    "tl.load(p_f32 + r, other=0.0)": "cannot be provided without",
    "tl.program_id(3)": "axis must be 0, 1, or 2",
    "tl.num_programs(tl.program_id(0))": "must be 0, 1, or 2 but got i32, which is computed when the kernel runs",
    "f32.sume()": "did you mean `sum`",
    "tl.lod(p_f32)": "did you mean `tl.load`",
    "f33 + 1": "did you mean `f32`",
    "tl.atomic_add(p_f16 + r, f16, sem='never')": "not one of",
    "tl.load(p_f32, cache='x')": "unexpected keyword argument",
    "tl.sum(f32, axis=1)": "invalid axis 1",
    "tl.reshape(f32, (8,))": "4 elements against 8",
    "f32 + tl.zeros((8,), tl.float32)": "cannot broadcast",
    "tl.atomic_max(p_f16 + r, f16)": "does not support fp16",
    "f16.to(tl.int32, bitcast=True)": "Cannot bitcast",
    "1 if i1 else 2": "ambiguous",
    "float(f32)": "x.to(tl.float32)",
}


@pytest.mark.parametrize("expression", REFUSED)
def test_an_expression_is_refused_with_its_place_and_a_reason(expression: str) -> None:
    with pytest.raises(CompilationError) as caught:
        type_of(expression)
    assert REFUSED[expression] in str(caught.value)
    assert "result =" in str(caught.value), "the user's line is shown"


def test_dir_lists_what_kernels_can_name() -> None:
    assert {"math", "load", "cdiv", "float32", "exp"} <= set(dir(tl))
    assert not {"coerce", "core", "shape", "memory"} & set(dir(tl))


def test_a_function_of_the_language_cannot_be_called_outside_a_kernel() -> None:
    for name in ("load", "cdiv"):
        with pytest.raises(RuntimeError, match=rf"tl\.{name} can only be called inside .* outside, use .* tiledsl\.cdiv"):
            getattr(tl, name)(1000, 128)


@pytest.mark.parametrize("name", sorted(n for n in dir(tl) if isinstance(getattr(tl, n), Builtin)))
def test_every_builtin_is_documented(name: str) -> None:
    assert getattr(tl, name).__doc__


def test_methods_are_functions_of_the_language() -> None:
    assert all(isinstance(m, Builtin | Library) for m in METHODS.values())


def test_dtypes_answer_as_tritons_do() -> None:
    assert str(tl.float16) == "fp16" and repr(tl.float16).endswith("language.float16")
    assert tl.int1.is_int_unsigned() and tl.int1.itemsize == 1 and tl.bfloat16.is_bf16()
    assert tl.int32.get_int_max_value() == 2**31 - 1 and tl.uint8.get_int_max_value() == 255
    assert tl.float16.fp_mantissa_width == 10 and tl.float32.exponent_bias == 127
    assert tl.pointer_type(tl.float32).element_ty == tl.float32


def test_a_typing_rule_speaks_of_both_operands() -> None:
    with pytest.raises(TypeRuleError) as caught:
        type_of("f32 + tl.zeros((8,), tl.float32)")
    assert "note: `f32` is f32[4]" in str(caught.value)


def test_compile_time_values_of_different_types_are_compared_and_combined() -> None:
    assert not tl.constexpr(1) == "x"
    assert tl.constexpr(1) != "x"
    assert (tl.constexpr(3) + 0.5).value == 3.5
    assert (2 - tl.constexpr(0.5)).value == 1.5


def test_zeros_like_pointers_is_refused() -> None:
    with pytest.raises(CompilationError, match="is a tile of pointers"):
        type_of("tl.zeros_like(p_f32)")
