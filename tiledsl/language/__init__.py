"""The language: `import tiledsl.language as tl`; the names Triton users know."""

from . import core, math, random
from .aggregates import aggregate_replace
from .arrange import bitonic_merge, cat, flip, gather, histogram, interleave, join, sort, split, topk
from .block_pointers import advance, make_block_ptr
from .core import Builtin, Library, builtin, constexpr, library
from .creation import arange, full, num_programs, program_id, to_tensor, zeros, zeros_like
from .debug import device_assert, device_print, expect_zero
from .descriptors import TensorDescriptor, load_tensor_descriptor, make_tensor_descriptor, store_tensor_descriptor
from .dtypes import (
    bfloat16,
    dtype,
    float8e4b8,
    float8e4b15,
    float8e4nv,
    float8e5,
    float8e5b16,
    float16,
    float32,
    float64,
    int1,
    int8,
    int16,
    int32,
    int64,
    pointer_type,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .foreign import extern_elementwise, inline_asm_elementwise
from .library import cdiv, softmax, swizzle2d
from .mapping import map_elementwise
from .math import (
    PropagateNan,
    abs,
    add,
    assume,
    cast,
    ceil,
    clamp,
    cos,
    debug_barrier,
    div_rn,
    erf,
    exp,
    exp2,
    fdiv,
    floor,
    fma,
    log,
    log2,
    max_constancy,
    max_contiguous,
    maximum,
    minimum,
    mul,
    multiple_of,
    rsqrt,
    sigmoid,
    sin,
    sqrt,
    sqrt_rn,
    sub,
    tanh,
    umulhi,
    where,
)
from .memory import (
    atomic_add,
    atomic_and,
    atomic_cas,
    atomic_max,
    atomic_min,
    atomic_or,
    atomic_xchg,
    atomic_xor,
    load,
    store,
)
from .random import (
    pair_uniform_to_normal,
    philox,
    philox_impl,
    rand,
    rand4x,
    randint,
    randint4x,
    randn,
    randn4x,
    uint32_to_uniform_float,
    uint_to_uniform_float,
)
from .reduction import (
    argmax,
    argmin,
    associative_scan,
    cumprod,
    cumsum,
    dot,
    max,
    min,
    reduce,
    reduce_or,
    sum,
    xor_sum,
)
from .scaled import dot_scaled
from .shape import broadcast, broadcast_to, expand_dims, item, permute, ravel, reshape, squeeze, trans, unsqueeze, view
from .static import condition, range, static_assert, static_print, static_range
from .tensor import tensor
from .tuples import constexpr_type, tuple, tuple_type
from .types import TRITON_MAX_TENSOR_NUMEL, block_type, const, pi32_t, str_to_ty, tensor_descriptor, tensor_descriptor_type, void

# ops that are functions by their declaration
globals().update({name: function for name, function in math.DECLARED.items() if name not in globals()})


def __dir__() -> list[str]:
    """What kernels name: of this package's own files only those that are meant to be."""
    return [name for name, value in globals().items() if not core.is_room(value)]
