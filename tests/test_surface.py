"""Names that Triton programs use are there, and mean something: by the place where programs look for them."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from tiledsl.compat import triton
from tiledsl.compat.triton import language as tl
from tiledsl.errors import CompilationError

SURFACE = {
    "triton.language": """
        int1 int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64 float8e5 float8e5b16 float8e4nv
        float8e4b8 float8e4b15 void pi32_t const dtype pointer_type block_type TRITON_MAX_TENSOR_NUMEL tuple_type constexpr_type
        tensor_descriptor_type str_to_ty constexpr tensor tuple tensor_descriptor program_id num_programs arange full zeros zeros_like
        to_tensor cast expand_dims unsqueeze squeeze broadcast_to broadcast reshape view ravel trans permute join split interleave cat
        flip item swizzle2d cdiv gather load store make_block_ptr advance make_tensor_descriptor load_tensor_descriptor
        store_tensor_descriptor atomic_add atomic_max atomic_min atomic_and atomic_or atomic_xor atomic_xchg atomic_cas where maximum
        minimum PropagateNan clamp abs exp exp2 log log2 sin cos sqrt rsqrt erf floor ceil sqrt_rn div_rn fdiv fma umulhi sigmoid
        softmax map_elementwise inline_asm_elementwise extern_elementwise multiple_of max_contiguous max_constancy assume debug_barrier
        sum max min argmax argmin xor_sum reduce_or reduce cumsum cumprod associative_scan sort topk bitonic_merge histogram dot
        dot_scaled philox randint4x randint rand rand4x randn randn4x pair_uniform_to_normal uint_to_uniform_float static_assert
        static_print device_print device_assert range static_range condition add sub mul math extra target_info core standard random
        semantic philox_impl uint32_to_uniform_float
    """,
    "triton.language.core": "aggregate_replace _aggregate expect_zero builtin extern constexpr tensor _unwrap_if_constexpr",
    "triton.language.dtype": """
        is_fp8 is_fp8e4nv is_fp8e4b8 is_fp8e4b15 is_fp8e5 is_fp8e5b16 is_fp16 is_bf16 is_fp32 is_fp64 is_int1 is_int8 is_int16 is_int32
        is_int64 is_uint8 is_uint16 is_uint32 is_uint64 is_floating is_standard_floating is_int_signed is_int_unsigned is_int is_bool
        is_ptr is_block is_const kind get_int_max_value get_int_min_value scalar is_dtype KIND UINT_TYPES SINT_TYPES FP_TYPES
        STANDARD_FP_TYPES OTHER_TYPES SIGNEDNESS
    """,
    "triton.language.float32": "primitive_bitwidth itemsize int_bitwidth int_signedness fp_mantissa_width exponent_bias name",
    "triton.language.int32": "primitive_bitwidth itemsize int_bitwidth int_signedness name",
    "triton.language.target_info": "current_target is_cuda is_hip cuda_capability_geq",
    "triton.language.math": "abs ceil cos div_rn erf exp exp2 fdiv floor fma log log2 rsqrt sin sqrt sqrt_rn umulhi max min",
    "triton.language.standard": """
        cdiv sigmoid softmax ravel swizzle2d zeros zeros_like max argmax min argmin sum xor_sum cumsum cumprod sort topk flip interleave
        bitonic_merge reduce_or squeeze unsqueeze _log2
    """,
    "triton.language.extra.libdevice": """
        tanh rsqrt pow exp log1p expm1 erf isnan isinf fast_dividef fast_expf rint round trunc floor ceil fmod atan2 finitef acos acosh
        asin asinh atan atanh sinh cosh tan cbrt log10 exp10 nearbyint signbit copysign fma ffs popc clz div_rn div_rz div_rd div_ru j0
        j1 y0 y1 cyl_bessel_i0 cyl_bessel_i1 erfinv lgamma cos sin exp2 log log2 sqrt
    """,
    "triton.language.extra.cuda.libdevice": "tanh",
    "triton.language.extra.hip.libdevice": "tanh",
    "triton.language.extra": "libdevice cuda hip",
    "triton": """
        jit autotune heuristics Config cdiv next_power_of_2 __version__ compile reinterpret MockTensor KernelInterface JITFunction
        TritonError CompilationError OutOfResources InterpreterError AsyncCompileMode FutureKernel set_allocator constexpr_function
        aggregate knobs testing runtime compiler language tools must_use_result
    """,
    "triton.testing": """
        do_bench do_bench_cudagraph assert_close Benchmark perf_report Mark get_dram_gbps get_max_tensorcore_tflops get_max_simd_tflops
        nvsmi set_gpu_clock cuda_memcheck
    """,
    "triton.runtime": """
        driver JITFunction KernelInterface Autotuner Heuristics Config autotune heuristics InterpreterError OutOfResources TensorWrapper
        MockTensor reinterpret cache jit errors autotuner
    """,
    "triton.runtime.errors": "PTXASError AutotunerError OutOfResources TritonError InterpreterError",
    "triton.runtime.jit": "JITFunction KernelInterface TensorWrapper MockTensor reinterpret get_device_key jit",
    "triton.runtime.driver": "active set_active reset_active",
    "triton.runtime.driver.active": """
        get_current_target get_current_device get_current_stream set_current_device get_active_torch_device get_device_interface
        get_benchmarker get_empty_cache_for_benchmark clear_cache utils launcher_cls map_python_to_cpp_type
    """,
    "triton.runtime.driver.active.utils": "get_device_properties",
    "triton.compiler": "compile ASTSource IRSource CompiledKernel make_backend LazyDict CompilationError errors",
    "triton.compiler.compiler": "ASTSource CompiledKernel compile",
    "triton.compiler.errors": "CompilationError CompileTimeAssertionFailure UnsupportedLanguageConstruct",
    "triton.backends.compiler": "GPUTarget BaseBackend AttrsDescriptor",
    "triton.knobs": """
        build cache compilation autotuning runtime language nvidia amd redis proton refresh_knobs propagate_env
    """,
    "triton.knobs.runtime": """
        launch_enter_hook launch_exit_hook kernel_load_start_hook kernel_load_end_hook jit_cache_hook jit_post_compile_hook scope reset
        copy
    """,
    "triton.knobs.autotuning": "listener",
    "triton.knobs.compilation": "listener",
    "triton.tools.tensor_descriptor": "TensorDescriptor",
    "triton.runtime.autotuner": "Autotuner Config Heuristics autotune heuristics",
}


def place(path: str) -> Any:
    """A module, or what hangs from one."""
    found: Any = triton
    for name in path.split(".")[1:]:
        if not hasattr(found, name):
            importlib.import_module(f"tiledsl.compat.{path}")
        found = getattr(found, name)
    return found


@pytest.mark.parametrize("path", SURFACE)
def test_names_are_there(path: str) -> None:
    where = place(path)
    assert [name for name in SURFACE[path].split() if not hasattr(where, name)] == []


@triton.jit
def merged(x):
    at = tl.arange(0, 8)
    tl.store(x + at, tl.bitonic_merge(tl.math.max(tl.load(x + at), 2.0), descending=True))


def test_a_bitonic_sequence_is_merged() -> None:
    x = np.array([1, 2, 3, 9, 7, 5, 4, 0], np.float32)
    merged[(1,)](x)
    assert x.tolist() == [9, 7, 5, 4, 3, 2, 2, 2]


@triton.jit
def of_a_number(x):
    tl.store(x, tl.sort(3))


def test_what_must_be_a_tile_is_named() -> None:
    with pytest.raises(CompilationError, match="tl.sort takes a tile as `x`, got the int 3"):
        of_a_number[(1,)](np.zeros(1, np.float32))


def _symbol(x: Any, _semantic: Any = None) -> Any:
    names = {(tl.core.dtype("fp32"),): ("__nv_sinf", tl.core.dtype("fp32"))}
    return tl.core.extern_elementwise("libdevice", "", [x], names, is_pure=True, _semantic=_semantic)


symbol = tl.core.extern(_symbol)


@triton.jit
def calls_a_symbol(x):
    tl.store(x, symbol(tl.load(x)))


def test_a_function_of_a_gpus_library_is_refused_where_it_is_called() -> None:
    with pytest.raises(CompilationError, match="a function of a GPU's library cannot run here") as caught:
        calls_a_symbol[(1,)](np.zeros(1, np.float32))
    assert "symbol(tl.load(x))" in str(caught.value)
