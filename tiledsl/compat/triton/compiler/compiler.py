"""`triton.compile`: a function and a signature in Triton's form, to a kernel that can be launched."""

from __future__ import annotations

import hashlib
from collections import namedtuple
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ....backend import registry
from ....errors import TileError
from ....frontend.captures import Captures
from ....frontend.lower import lower_function
from ....frontend.signature import Signature
from ....runtime import cache
from ....runtime.compile import compile_kernel
from ....runtime.compiled import Compiled
from ....runtime.launch import Target, target_of
from .. import knobs
from ..backends.compiler import BaseBackend, CPUBackend, CPUOptions, GPUTarget
from ..errors import translated
from ..runtime.cache import triton_key as triton_key  # programs import it from here
from ..runtime.signatures import describe, signature_of

kernels = cache.Cache(lambda: str(knobs.cache.dir))


class ASTSource:
    """A jit function under one signature."""

    ext = "ttir"

    def __init__(self, fn: Any, signature: Mapping[Any, Any], constexprs: Any = None, attrs: Any = None):
        self.fn, self.signature = fn, dict(signature)
        self.constants, self.attrs = dict(constexprs or {}), dict(attrs or {})
        self.name = fn.__name__
        self._typed: Signature | None = None

    @property
    def constexprs(self) -> dict[Any, Any]:
        return self.constants

    @classmethod
    def of(cls, fn: Any, signature: Signature) -> ASTSource:
        """From a signature of ours."""
        made = cls(fn, *describe(signature.parameters))
        made._typed = signature
        return made

    def typed(self, debug: bool = False) -> Signature:
        """The signature as ours."""
        if self._typed is None:
            if getattr(self.fn, "_clash", None):
                self.fn._bind((), {})
            self._typed = signature_of(self.fn.params, self.signature, self.constants, self.attrs, debug)
        return self._typed

    def hash(self) -> str:
        return hashlib.sha256(f"{self.fn.cache_key} {self.typed().text}".encode()).hexdigest()

    def parse_options(self) -> dict[str, Any]:
        return {}


class IRSource:
    """Kept for code that names it: kernels given as MLIR are not read here."""

    def __init__(self, path: Any, context: Any = None, backend: Any = None):
        raise NotImplementedError("tiledsl compiles Python functions; it does not read MLIR")


def make_backend(target: GPUTarget) -> BaseBackend:
    """The compiler's part for a target."""
    return CPUBackend(target)


def get_cache_key(source: ASTSource, backend: BaseBackend, options: Any, env_vars: Mapping[str, str] | None = None) -> str:
    """What a kernel of this source is kept under."""
    return hashlib.sha256(f"{source.hash()} {options}".encode()).hexdigest()


def max_shared_mem(device: int) -> int:
    from ..runtime.driver import driver

    return driver.active.utils.get_device_properties(device)["max_shared_mem"]  # type: ignore[attr-defined]


def compile(
    src: ASTSource, target: GPUTarget | None = None, options: Mapping[str, Any] | None = None, _env_vars: Any = None
) -> CompiledKernel:
    """Compile a source for this machine."""
    from ..runtime.driver import driver

    machine = target or driver.active.get_current_target()
    given = {name: value for name, value in (options or {}).items() if value is not None}
    made = CPUBackend(machine).parse_options(given)
    ours = target_of({k: v for k, v in given.items() if k in ("enable_fp_fusion", "debug", "num_threads")})
    return compile_source(src, machine, made, ours)


def compile_source(
    source: ASTSource, machine: GPUTarget, options: CPUOptions, target: Target, captured: Captures | None = None
) -> CompiledKernel:
    """Compile a source, or take it from the cache; errors in Triton's form. What the function captures may be known already."""
    function = source.fn
    try:
        signature = source.typed(target.debug)
        captured = function._captured or captured or function.captures()
        function.remember(captured)
        text = f"{captured.digest} {function.version} {function.noinline}"
        key = cache.key_of(text, signature.text, target.text, target.backend)

        def build() -> Compiled:
            return compile_kernel(function, signature, target.backend, target.options, key)

        made = build() if knobs.compilation.always_compile else kernels.get(key, build)
        function._captured = captured
    except TileError as error:
        found = translated(error, _texts(function))
        raise found from found.__cause__
    return CompiledKernel(made, source, machine, options, target)


def _texts(function: Any) -> dict[tuple[str, str], tuple[str, int, int]]:
    """What errors show of the function and of those it calls."""
    try:
        reached = [f for f in function.captures().functions if hasattr(f, "shown")]
    except (TileError, SyntaxError):
        reached = []
    return {(f.file, f.name): f.shown for f in (*reached[::-1], function)}


class LazyDict:
    """Facts of a launch, some of which are computed when a hook asks."""

    def __init__(self, data: Mapping[str, Any]):
        self.data = dict(data)
        self.extras: list[tuple[Any, tuple[Any, ...]]] = []

    def add(self, func: Any, args: Sequence[Any]) -> None:
        self.extras.append((func, tuple(args)))

    def get(self) -> dict[str, Any]:
        for func, args in self.extras:
            self.data |= func(*args)
        self.extras.clear()
        return self.data


class Stages(Mapping[str, str]):
    """The stages of a kernel as text; "ttir" is the tile program as the frontend made it."""

    def __init__(self, kernel: CompiledKernel):
        self._kernel = kernel

    def __getitem__(self, name: str) -> str:
        texts = registry.texts(self._kernel.compiled.program)
        if name in texts:
            return texts[name]
        if name in ("ttir", "ttgir"):
            return str(lower_function(self._kernel.src.fn, self._kernel.src.typed()))
        if name == "llir" and "llvm" in texts:
            return texts["llvm"]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(["ttir", *registry.texts(self._kernel.compiled.program)])

    def __len__(self) -> int:
        return 1 + len(registry.texts(self._kernel.compiled.program))


MEMORY = {
    "shared": 1024, "tmem_size": 0, "warp_size": 32, "global_scratch_size": 0, "global_scratch_align": 1, "profile_scratch_size": 0,
}  # fmt: skip
FACTS = sorted([*(f.name for f in fields(CPUOptions)), "name", "hash", "target", *MEMORY])
KernelMetadata = namedtuple("KernelMetadata", FACTS)  # type: ignore[misc]


class CompiledKernel:
    """A compiled kernel: what a launch returns."""

    n_regs, n_spills = 32, 0  # programs divide by it
    n_max_threads = 1

    def __init__(self, compiled: Compiled, source: ASTSource, machine: GPUTarget, options: CPUOptions, target: Target):
        self.compiled, self.src, self.target_options, self.target = compiled, source, options, target
        self.hash = compiled.key
        self.name = source.fn.shown_name(source.typed()) if hasattr(source.fn, "shown_name") else source.name
        facts = {**vars(options), "name": self.name, "hash": self.hash, "target": machine, **MEMORY}
        self.metadata = KernelMetadata(**facts)
        self.packed_metadata = (options.num_warps, options.num_ctas, 0)
        self.metadata_group: dict[str, str] = {}
        self.asm = Stages(self)
        self.module: Any = None
        self.function: Any = None
        self.report: Any = None

    @property
    def shared(self) -> int:
        """Bytes of shared memory, under the name that it had before `metadata`."""
        return MEMORY["shared"]

    @property
    def kernel(self) -> bytes:
        return self.compiled.program.binary

    def _init_handles(self) -> None:
        """Tell the hooks that the kernel is about to be used; once."""
        if self.module is None:
            knobs.runtime.kernel_load_start_hook(None, None, self.name, self.metadata_group, self.hash)
            self.module = self.function = self.compiled
            knobs.runtime.kernel_load_end_hook(self.module, self.function, self.name, self.metadata_group, self.hash)

    def __del__(self) -> None:
        if getattr(self, "module", None) is not None and knobs is not None and knobs.runtime.kernel_unload_hook.calls:
            knobs.runtime.kernel_unload_hook(self.module, self.function, self.name, self.metadata_group, self.hash)
            self.module = self.function = None

    def launch(self, sizes: tuple[int, int, int], values: Sequence[Any], bound: Sequence[Any], target: Target) -> None:
        """Run every program of a grid."""
        if self.module is None:
            self._init_handles()
        function = self.src.fn
        for index in self.compiled.stored:
            if index < len(bound) and not bound[index].writable:
                raise function._read_only(bound[index])
        enter, leave = knobs.runtime.launch_enter_hook, knobs.runtime.launch_exit_hook
        facts = self.launch_metadata(sizes, 0, *values) if enter.calls or leave.calls else None
        if enter.calls:
            enter(facts)
        if 0 not in sizes and self.compiled.messages:
            self.report = function._listening(self.compiled, sizes, list(bound), target).report
        elif 0 not in sizes:
            self.report = target.backend.launch(self.compiled.program, sizes, bound, target.options)
        if leave.calls:
            leave(facts)

    def launch_metadata(self, grid: Any, stream: Any, *values: Any) -> LazyDict:
        """What hooks are given: name, function, stream, and what the `launch_metadata` option of the function adds."""
        facts = LazyDict({"name": self.name, "function": self.function, "stream": stream})
        extra = self.src.fn.launch_metadata
        if extra is not None:
            facts.add(extra, (grid, self.metadata, dict(zip(self.src.fn.arg_names, values, strict=False))))
        return facts

    def __getitem__(self, grid: Any) -> Any:
        def run(*args: Any, stream: Any = None, **given: Any) -> None:
            function = self.src.fn
            values, _ = function._binder.bind(self._completed(args) if not given else args, given)
            bound: list[Any] = []
            for slot, parameter, value in zip(function._binder.slots, self.src.typed().parameters, values, strict=True):
                if parameter.type is not None or parameter.elements:  # by the types it was compiled for: a 1 need not be special
                    slot.but(specialize=False).describe(value, bound)
            self.launch(function._sizes(grid, values), values, bound, self.target)

        return run

    def _completed(self, args: tuple[Any, ...]) -> Sequence[Any]:
        """The arguments of all parameters; callers may leave out those known when compiling."""
        params = self.src.fn.params
        if len(args) == len(params) or len(args) != sum(not p.is_constexpr for p in params):
            return args
        given = iter(args)
        known = [p.value for p in self.src.typed().parameters]
        return [value if p.is_constexpr else next(given) for p, value in zip(params, known, strict=True)]

    def run(self, x: int, y: int, z: int, stream: Any, function: Any, packed: Any, facts: Any, enter: Any, leave: Any, *args: Any) -> None:
        """The call that launchers of Triton make."""
        self[(x, y, z)](*args)


def default_backend() -> str:
    """The backend of launches that name none."""
    return registry.default()
