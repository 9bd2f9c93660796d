"""What Triton's compiler asks of a target, answered for the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class GPUTarget:
    """A target by name, architecture and width of a warp."""

    backend: str
    arch: int | str
    warp_size: int


@dataclass(frozen=True)
class CPUOptions:
    """The options of a launch; those that steer a GPU are kept for who asks, and change nothing."""

    num_warps: int = 4
    num_stages: int = 3
    num_ctas: int = 1
    maxnreg: int | None = None
    enable_fp_fusion: bool = True
    launch_cooperative_grid: bool = False
    launch_pdl: bool = False
    extern_libs: Any = None
    debug: bool = False
    sanitize_overflow: bool = True
    backend_name: str = "cpu"
    arch: str = ""
    ir_override: str | None = None
    waves_per_eu: int = 0
    matrix_instr_nonkdim: int = 0
    kpack: int = 1
    num_threads: int | None = None
    num_cpu_threads: int | None = None
    backend: str | None = None
    deterministic: bool = False
    fast_math: bool = False
    allow_fp8e4nv: bool = True
    allow_fp8e4b15: bool = True
    supported_fp8_dtypes: tuple[str, ...] = ("fp8e5", "fp8e4nv", "fp8e4b8", "fp8e5b16", "fp8e4b15")
    default_dot_input_precision: str = "ieee"
    allowed_dot_input_precisions: tuple[str, ...] = ("ieee", "tf32", "tf32x3", "bf16x3", "bf16x6")


NAMES = frozenset(f.name for f in fields(CPUOptions))


class BaseBackend:
    """A target's part of the compiler."""

    def __init__(self, target: GPUTarget):
        self.target = target

    @staticmethod
    def supports_target(target: GPUTarget) -> bool:
        return target.backend == "cpu"

    def parse_options(self, options: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    @staticmethod
    def get_int_specialization(arg: int, **options: Any) -> str:
        """ "D" if a kernel may rely on the number being a multiple of 16."""
        return "D" if arg % 16 == 0 and options.get("align", False) else ""

    @staticmethod
    def get_tensor_specialization(arg: Any, **options: Any) -> str:
        """ "D" if a kernel may rely on the address being a multiple of 16."""
        return "D" if arg.data_ptr() % 16 == 0 and options.get("align", False) else ""


class CPUBackend(BaseBackend):
    """The CPU's part."""

    binary_ext = "so"

    def hash(self) -> str:
        return f"tiledsl-{self.target.arch}"

    def parse_options(self, options: Mapping[str, Any]) -> CPUOptions:
        """The options among keywords; None means the default."""
        known = {name: value for name, value in options.items() if name in NAMES and value is not None}
        return CPUOptions(**{"arch": str(self.target.arch), **known})


class AttrsDescriptor:
    """Kept for code that names it: attributes of arguments as older versions grouped them."""

    def __init__(self, params: Any = None, values: Any = None):
        self.params, self.values = params, values
