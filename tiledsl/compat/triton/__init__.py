"""The names of the `triton` package on top of tiledsl; `install()` makes `import triton` mean this package."""

from ... import cdiv as _cdiv
from ... import next_power_of_2 as _next_power_of_2
from . import errors, knobs, language, runtime, testing, tools
from .alias import install
from .compiler import CompilationError, compile
from .errors import TritonError
from .language.core import _aggregate as aggregate
from .language.core import must_use_result
from .runtime import (
    Config,
    InterpreterError,
    JITFunction,
    KernelInterface,
    MockTensor,
    OutOfResources,
    TensorWrapper,
    autotune,
    heuristics,
    reinterpret,
)
from .runtime._allocation import set_allocator
from .runtime._async_compile import AsyncCompileMode, FutureKernel
from .runtime.jit import constexpr_function, jit

__version__ = "3.7.0"  # the Triton whose surface is offered; libraries parse it

cdiv = constexpr_function(_cdiv)
next_power_of_2 = constexpr_function(_next_power_of_2)

__all__ = [
    "AsyncCompileMode", "CompilationError", "Config", "FutureKernel", "InterpreterError", "JITFunction", "KernelInterface",
    "MockTensor", "OutOfResources", "TensorWrapper", "TritonError", "aggregate", "autotune", "cdiv", "compile",
    "constexpr_function", "errors", "heuristics", "install", "jit", "knobs", "language", "must_use_result", "next_power_of_2",
    "reinterpret", "runtime", "set_allocator", "testing", "tools",
]  # fmt: skip
