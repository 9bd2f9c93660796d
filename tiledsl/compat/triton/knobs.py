"""Triton's settings as objects: each is read from the environment when asked for, may be set, and is restored by a scope.

Most steer a GPU compiler and change nothing here; they exist because programs and tests set them.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

propagate_env = True  # whether setting a knob also sets its variable, for child processes


class Env:
    """Assign `env` to a knob to read its variable again."""


env = Env()


def setenv(key: str, value: str | None) -> None:
    """Set or remove a variable, if knobs propagate."""
    if not propagate_env:
        return
    if value is None:
        os.environ.pop(key, None)
    else:
        os.environ[key] = value


def getenv(key: str, default: str | None = None) -> str | None:
    """A variable; an empty one counts as absent."""
    return os.environ.get(key) or default


def as_flag(text: str) -> bool:
    """1, true, on, y and yes in any case."""
    return text.lower() in ("1", "true", "on", "y", "yes")


class env_base:
    """A knob: a data descriptor that reads its variable unless a value was set."""

    def __init__(self, key: str, default: Any = None):
        self.key, self.default = key, default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self
        return owner.__dict__[self.name] if self.name in owner.__dict__ else self.get()

    def __set__(self, owner: Any, value: Any) -> None:
        if isinstance(value, Env):
            owner.__dict__.pop(self.name, None)
            return
        owner.__dict__[self.name] = value
        if value is None or isinstance(value, bool | str | int):
            setenv(self.key, None if value is None else str(int(value)) if isinstance(value, bool) else str(value))

    def __delete__(self, owner: Any) -> None:
        owner.__dict__.pop(self.name, None)

    def get(self) -> Any:
        """The value that the environment gives."""
        text = getenv(self.key)
        return self.absent() if text is None else self.read(text)

    def read(self, text: str) -> Any:
        return text

    def absent(self) -> Any:
        return self.default


class env_str(env_base):
    """A text with a default."""


class env_opt_str(env_base):
    """A text or None."""


class env_str_callable_default(env_base):
    """A text whose default is computed."""

    def __init__(self, key: str, default: Callable[[], str]):
        super().__init__(key, default)

    def absent(self) -> str:
        return self.default()


class env_bool(env_base):
    """A flag."""

    def __init__(self, key: str, default: bool | None = False):
        super().__init__(key, default)

    def read(self, text: str) -> bool:
        return as_flag(text)


class env_opt_bool(env_bool):
    """A flag or None."""

    def __init__(self, key: str):
        super().__init__(key, None)


class env_int(env_base):
    """An integer."""

    def __init__(self, key: str, default: int = 0):
        super().__init__(key, default)

    def read(self, text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise RuntimeError(f"{self.key}={text}: expected an int") from None


class env_class(env_base):
    """A class, written module:name; it has one of the given name among its bases."""

    def __init__(self, key: str, base: str):
        super().__init__(key)
        self.base = base

    def read(self, text: str) -> type:
        module, _, name = text.partition(":")
        if not name:
            raise RuntimeError(f"{self.key}={text}: expected MODULE:CLASS")
        found = getattr(importlib.import_module(module), name)
        if self.base not in {kind.__name__ for kind in found.__mro__}:
            raise RuntimeError(f"{self.key}={text}: it is no {self.base}")
        return found


@dataclass(frozen=True)
class NvidiaTool:
    """A program of the CUDA toolkit; none is needed here."""

    path: str
    version: str


class env_nvidia_tool(env_base):
    """Where a program of the CUDA toolkit would be."""

    def __init__(self, binary: str):
        super().__init__(f"TRITON_{binary.upper().replace('-', '_')}_PATH")

    def read(self, text: str) -> NvidiaTool:
        return NvidiaTool(text, "0.0")

    def absent(self) -> NvidiaTool:
        raise RuntimeError(f"{self.key} is not set, and tiledsl brings no such program")


Knobs = TypeVar("Knobs", bound="base_knobs")


class base_knobs:
    """A group of knobs."""

    @property
    def knob_descriptors(self) -> dict[str, env_base]:
        return {name: value for name, value in vars(type(self)).items() if isinstance(value, env_base)}

    @property
    def knobs(self) -> dict[str, Any]:
        """The value of every knob of the group."""
        return {name: getattr(self, name) for name in self.knob_descriptors}

    def copy(self: Knobs) -> Knobs:
        """A group of its own with the same values."""
        made = type(self)()
        made.__dict__.update(self.__dict__)
        return made

    def reset(self: Knobs) -> Knobs:
        """Forget what was set."""
        for name in self.knob_descriptors:
            delattr(self, name)
        return self

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is set inside, variables included, ends with the block."""
        values = dict(self.__dict__)
        variables = {knob.key: os.environ.get(knob.key) for knob in self.knob_descriptors.values()}
        try:
            yield
        finally:
            self.__dict__.clear()
            self.__dict__.update(values)
            for key, text in variables.items():
                if text is None:
                    os.environ.pop(key, None)
                else:
                    os.environ[key] = text


@dataclass(frozen=True)
class CompileTimes:
    """How long the stages of a compilation took, in microseconds."""

    ir_initialization: int
    lowering_stages: list[tuple[str, int]]
    store_results: int

    @property
    def total_lowering(self) -> int:
        return sum(time for _, time in self.lowering_stages)

    @property
    def total(self) -> int:
        return self.ir_initialization + self.total_lowering + self.store_results


class HookChain:
    """Functions called one after the other; the last added first, if reversed."""

    def __init__(self, reversed: bool = False):
        self.calls: list[Callable[..., Any]] = []
        self.reversed = reversed

    def add(self, func: Callable[..., Any]) -> None:
        if func not in self.calls:
            self.calls.append(func)

    def remove(self, func: Callable[..., Any]) -> None:
        if func in self.calls:
            self.calls.remove(func)

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        for call in self.calls[::-1] if self.reversed else list(self.calls):
            call(*args, **kwargs)


# --- the groups


class build_knobs(base_knobs):
    """How a C compiler would be called."""

    cc = env_opt_str("CC")
    cudacrt_path = env_opt_str("TRITON_CUDACRT_PATH")
    cudart_path = env_opt_str("TRITON_CUDART_PATH")
    impl: Any = None

    @property
    def backend_dirs(self) -> set[str]:
        return {path for path in (self.cudacrt_path, self.cudart_path) if path is not None}


class redis_knobs(base_knobs):
    """Where a shared cache would be."""

    key_format = env_str("TRITON_REDIS_KEY_FORMAT", "triton:{key}:{filename}")
    host = env_str("TRITON_REDIS_HOST", "localhost")
    port = env_int("TRITON_REDIS_PORT", 6379)


def _triton_dir(name: str) -> str:
    """A folder under TRITON_HOME."""
    return str(cache.get_triton_dir(name))


class cache_knobs(base_knobs):
    """Where files are kept."""

    home_dir = env_str("TRITON_HOME", os.path.expanduser("~/"))
    dump_dir = env_str_callable_default("TRITON_DUMP_DIR", lambda: _triton_dir("dump"))
    override_dir = env_str_callable_default("TRITON_OVERRIDE_DIR", lambda: _triton_dir("override"))
    dir = env_str_callable_default("TRITON_CACHE_DIR", lambda: _triton_dir("cache"))
    manager_class = env_class("TRITON_CACHE_MANAGER", "CacheManager")
    remote_manager_class = env_class("TRITON_REMOTE_CACHE_BACKEND", "RemoteCacheBackend")

    def get_triton_dir(self, dirname: str) -> str:
        return os.path.join(self.home_dir, ".triton", dirname)


class compilation_knobs(base_knobs):
    """How kernels are compiled."""

    override = env_bool("TRITON_KERNEL_OVERRIDE")
    dump_ir = env_bool("TRITON_KERNEL_DUMP")
    dump_ir_extract_di_local_variables = env_bool("LLVM_EXTRACT_DI_LOCAL_VARIABLES")
    store_binary_only = env_bool("TRITON_STORE_BINARY_ONLY")
    always_compile = env_bool("TRITON_ALWAYS_COMPILE")
    use_ir_loc = env_opt_str("USE_IR_LOC")
    enable_asan = env_bool("TRITON_ENABLE_ASAN")
    disable_line_info = env_bool("TRITON_DISABLE_LINE_INFO")
    front_end_debugging = env_bool("TRITON_FRONT_END_DEBUGGING")
    allow_non_constexpr_globals = env_bool("TRITON_ALLOW_NON_CONSTEXPR_GLOBALS")
    instrumentation_mode: str = os.environ.get("TRITON_INSTRUMENTATION_MODE", "")
    listener: Any = None


class autotuning_knobs(base_knobs):
    """How configs are chosen, and who is told."""

    cache = env_bool("TRITON_CACHE_AUTOTUNING")
    print = env_bool("TRITON_PRINT_AUTOTUNING")
    listener: Any = None


class runtime_knobs(base_knobs):
    """How kernels are launched, and who is told."""

    interpret = env_bool("TRITON_INTERPRET")
    debug: bool = as_flag(os.environ.get("TRITON_DEBUG", ""))
    override_arch = env_opt_str("TRITON_OVERRIDE_ARCH")
    launch_enter_hook = HookChain()
    launch_exit_hook = HookChain(reversed=True)
    kernel_load_start_hook = HookChain()
    kernel_load_end_hook = HookChain(reversed=True)
    kernel_unload_hook = HookChain()
    jit_cache_hook: Any = None
    jit_post_compile_hook: Any = None
    add_stages_inspection_hook: Any = None


class language_knobs(base_knobs):
    """What the language assumes where a kernel does not say."""

    fp32_default = env_opt_str("TRITON_F32_DEFAULT")
    default_fp_fusion = env_bool("TRITON_DEFAULT_FP_FUSION", True)


class nvidia_knobs(base_knobs):
    """For one kind of GPU."""

    cuobjdump = env_nvidia_tool("cuobjdump")
    nvdisasm = env_nvidia_tool("nvdisasm")
    ptxas = env_nvidia_tool("ptxas")
    ptxas_blackwell = env_nvidia_tool("ptxas-blackwell")
    ptxas_options = env_opt_str("PTXAS_OPTIONS")
    dump_nvptx = env_bool("NVPTX_ENABLE_DUMP")
    disable_ptxas_opt = env_bool("DISABLE_PTXAS_OPT")
    mock_ptx_version = env_opt_str("TRITON_MOCK_PTX_VERSION")
    dump_ptxas_log = env_bool("TRITON_DUMP_PTXAS_LOG")
    libdevice_path = env_opt_str("TRITON_LIBDEVICE_PATH")
    libcuda_path = env_opt_str("TRITON_LIBCUDA_PATH")


class amd_knobs(base_knobs):
    """For another."""

    use_buffer_ops = env_bool("AMDGCN_USE_BUFFER_OPS", True)
    use_buffer_atomics = env_bool("AMDGCN_USE_BUFFER_ATOMICS", True)
    dump_amdgcn = env_bool("AMDGCN_ENABLE_DUMP")
    libhip_path = env_opt_str("TRITON_LIBHIP_PATH")
    use_block_pingpong = env_opt_bool("TRITON_HIP_USE_BLOCK_PINGPONG")
    use_in_thread_transpose = env_opt_bool("TRITON_HIP_USE_IN_THREAD_TRANSPOSE")
    use_async_copy = env_opt_bool("TRITON_HIP_USE_ASYNC_COPY")
    scalarize_packed_fops = env_bool("AMDGCN_SCALARIZE_PACKED_FOPS")


class proton_knobs(base_knobs):
    """For a profiler of GPUs."""

    disable = env_bool("TRITON_PROTON_DISABLE")
    profile_buffer_size = env_int("TRITON_PROFILE_BUFFER_SIZE", 64 << 20)
    enable_nvtx = env_bool("TRITON_ENABLE_NVTX", True)


build = build_knobs()
redis = redis_knobs()
cache = cache_knobs()
compilation = compilation_knobs()
autotuning = autotuning_knobs()
runtime = runtime_knobs()
language = language_knobs()
nvidia = nvidia_knobs()
amd = amd_knobs()
proton = proton_knobs()


def refresh_knobs() -> None:
    """Read the variables again that are looked at only once, because launches ask for them."""
    runtime.debug = as_flag(os.environ.get("TRITON_DEBUG", ""))
    compilation.instrumentation_mode = os.environ.get("TRITON_INSTRUMENTATION_MODE", "")
