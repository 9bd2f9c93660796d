"""`triton.jit`: our jit function with the attributes, hooks and caches that Triton's callers expect."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import textwrap
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ....errors import StaticAssertionError
from ....frontend.captures import Captures
from ....frontend.function import Formal
from ....frontend.signature import Signature, text_of
from ....language.core import constexpr
from ....language.functions import ConstexprFunction, constexpr_function
from ....runtime.arguments import declared_element
from ....runtime.jit import Launchable, _array_of
from ....runtime.launch import Target
from .. import knobs
from .._utils import canonicalize_dtype, type_canonicalisation_dict
from ..backends.compiler import CPUBackend, CPUOptions, GPUTarget
from ..compiler.compiler import ASTSource, CompiledKernel, compile_source
from ..errors import CompilationError
from . import _async_compile, watching
from .driver import driver
from .signatures import describe, type_text
from .specialization import decoded, serialised
from .tensors import MockTensor, TensorWrapper, reinterpret

JITCallable = Launchable


class KernelInterface:
    """What can be launched: `kernel[grid](...)` calls `run`."""

    def run(self, *args: Any, grid: Any, warmup: bool = False, **kwargs: Any) -> Any:
        raise NotImplementedError

    def warmup(self, *args: Any, grid: Any = None, **kwargs: Any) -> Any:
        """Compile only."""
        return self.run(*map(MockTensor.wrap_dtype, args), grid=grid, warmup=True, **kwargs)

    def __getitem__(self, grid: Any) -> Any:
        return lambda *args, **kwargs: self.run(*args, grid=grid, warmup=False, **kwargs)


@dataclass
class JitFunctionInfo:
    """How hooks are told which function it is."""

    module: ModuleType | str
    name: str
    jit_function: Any


@dataclass(frozen=True)
class Specialization:
    """What the `repr` option is given to name a kernel: types and constants by name."""

    signature: dict[str, Any]
    constants: dict[str, Any]
    attrs: dict[Any, Any]


class KernelParam(Formal):
    """A parameter, with what the decorator's options say of it."""

    do_not_specialize: bool = False
    do_not_specialize_on_alignment: bool = False

    @property
    def num(self) -> int:
        return self.index

    @property
    def annotation_type(self) -> str:
        """The type that the annotation fixes, as signatures write it; empty where it fixes none."""
        elem = None if self.is_constexpr else declared_element(self.annotation)
        return "" if elem is None else type_text(elem)

    @property
    def is_const(self) -> bool:
        return isinstance(self.annotation, str | type) and getattr(self.annotation, "__name__", self.annotation) in ("const", "tl.const")


def get_device_key() -> str:
    """Under which kernels are kept: the target and the device."""
    active = driver.active
    return f"{active.get_current_target().backend}:{active.get_current_device()}"  # type: ignore[attr-defined]


class DeviceCaches(dict[Any, tuple[Any, ...]]):
    """Kernels by name, names by specialisation, the target and its compiler; there is one device, whatever it is called."""

    def __getitem__(self, device: Any) -> tuple[Any, ...]:
        if not self:
            target = driver.active.get_current_target()
            self[get_device_key()] = ({}, {}, target, CPUBackend(target), None)
        return next(iter(self.values()))


registered: dict[str, JITFunction] = {}  # by module and name, for constants that are read back


class JITFunction(Launchable, KernelInterface):
    """A function to be compiled; `device_caches[key][0]` holds its kernels."""

    def __init__(self, fn: Callable[..., Any], **options: Any):
        self.hash: str | None = None
        self._lock = threading.RLock()
        self.used_global_vals: dict[tuple[str, int], tuple[Any, Any]] = {}
        super().__init__(fn, **_known(fn, {name: value for name, value in options.items() if name not in _CLASHING}))
        self._clash: str | None = _clash(self, options.get("do_not_specialize") or ())
        debug = options.get("debug", self.debug or None)  # as TILEDSL_DEBUG says
        self._repr, self.debug, self.noinline = options.get("repr"), debug, bool(options.get("noinline"))  # type: ignore[assignment]
        self.do_not_specialize = options.get("do_not_specialize") or []
        self.do_not_specialize_on_alignment = options.get("do_not_specialize_on_alignment") or []
        self.module, self._fn_name = fn.__module__, f"{fn.__module__}.{fn.__qualname__}"
        self.__globals__ = fn.__globals__
        names = (set(self.do_not_specialize), set(self.do_not_specialize_on_alignment))
        self.params = tuple(KernelParam(**vars(p), **_said_of(p, *names)) for p in self.params)
        self.constexprs = [p.index for p in self.params if p.is_constexpr]
        self.device_caches = DeviceCaches()
        self.kernel = None
        registered[f"{self.module}:{fn.__qualname__}"] = self

    # --- source

    @property
    def src(self) -> str:
        """The text from `def` on, without indentation."""
        return self.shown[0]

    @property
    def raw_src(self) -> list[str]:
        return self.source.splitlines(keepends=True)

    @property
    def starting_line_number(self) -> int:
        return self.first_line

    @property
    def shown(self) -> tuple[str, int, int]:
        """The text from `def` on, the file's line of its first line, and how far the file indents it."""
        replaced = self.__dict__.get("_replaced")
        tree = self.tree
        if replaced is not None:
            return replaced, tree.lineno, 0
        lines = self.source.split("\n")[tree.lineno - self.first_line :]
        return textwrap.dedent("\n".join(lines)), tree.lineno, tree.col_offset

    def parse(self) -> ast.Module:
        """The syntax tree of the source."""
        return ast.parse(self.src)

    def _unsafe_update_src(self, new_src: str) -> None:
        """Replace the source; callers forget the `hash` of functions that call this one."""
        self.device_caches.clear()
        if self.__dict__.pop("_replaced", None) is not None:
            del self.__dict__["_parsed"]
        if new_src == self.src:  # as it is in the file
            self.__dict__.update(hash=None, _captured=None)
            return
        line = self.tree.lineno
        (tree,) = ast.parse(new_src).body
        assert isinstance(tree, ast.FunctionDef)
        ast.increment_lineno(tree, line - tree.lineno)
        self.__dict__.update(_parsed=(new_src, tree), _replaced=new_src, hash=None, _captured=None)

    # --- what a compilation depends on

    @property
    def cache_key(self) -> str:
        """A digest of the source and of everything it reads from outside."""
        if self.hash is None:
            self._hash_of(self.captures())
        assert self.hash is not None
        return self.hash

    def _hash_of(self, captured: Captures) -> None:
        with self._lock:
            self.used_global_vals = {(c.name, id(c.scope)): (c.value, c.scope) for c in captured.found if c.is_plain}
            self.hash = hashlib.sha256(f"{captured.digest} {self.noinline}".encode()).hexdigest()

    fingerprint = cache_key

    def __hash__(self) -> int:
        return hash(self.cache_key)

    def __eq__(self, other: object) -> bool:
        return self is other

    @property
    def type(self) -> Any:
        from ....language.tuples import constexpr_type

        return constexpr_type(self)

    def __repr__(self) -> str:
        return f"JITFunction({self.module}:{self.fn.__qualname__})"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("Cannot call @triton.jit'd outside of the scope of a kernel")

    # --- launching

    def run(self, *args: Any, grid: Any, warmup: bool = False, **kwargs: Any) -> Any:
        """Launch over a grid, or only compile."""
        return self._run(args, kwargs, grid, warmup)

    def warmup(self, *args: Any, grid: Any = None, **kwargs: Any) -> Any:
        """Compile for arguments like these; a dtype stands for an aligned array of it."""
        return self._run(args, kwargs, grid, True)

    def launch(self, grid: Any, args: tuple[Any, ...], given: Mapping[str, Any]) -> Any:
        return self._run(args, given, grid, False)

    overlooked = ()  # the compiled kernel tells with which options it was launched

    @property
    def learns(self) -> bool:
        return all(getattr(type(self), way) is getattr(JITFunction, way) for way in ("run", "launch", "_run"))

    def kept(self, target: Target, key: tuple[Any, ...], rest: Mapping[str, Any]) -> Any:
        kernel = self._kernel_of(target, key, rest)
        return kernel.compiled if type(kernel) is CompiledKernel and kernel.module is not None else None

    def _kernel_of(self, target: Target, key: tuple[Any, ...], rest: Mapping[str, Any]) -> Any:
        kernels, names, *_ = self.device_caches[get_device_key()]
        return kernels.get(names.get((target, _shown(rest), key)))

    def watches(self, launched: Any) -> list[Any]:
        """Knobs and hooks, and that the kernel is still kept."""
        return watching.of(self.device_caches, launched)

    def _run(self, args: tuple[Any, ...], given: Mapping[str, Any], grid: Any, warmup: bool) -> Any:
        if knobs.runtime.debug and "debug" not in given:
            given = {**given, "debug": True}
        if not knobs.language.default_fp_fusion and "enable_fp_fusion" not in given:
            given = {**given, "enable_fp_fusion": False}
        for hook in self.pre_run_hooks:
            hook(*args, **given)
        values, rest = self._bind(args, given)
        target = self._target(rest)
        if warmup:
            values = [_array_of(v, slot) for slot, v in zip(self._binder.slots, values, strict=True)]
        bound: list[Any] = []
        key = self._binder.key(values, bound)
        options = _shown(rest)
        kernels, names, *_ = self.device_caches[get_device_key()]
        name = names.get((target, options, key))
        captured: Captures | None = None
        if name is None:
            if self.hash is None:
                self._hash_of(captured := self.captures())
            signature = self._binder.signature(values, key, target.debug)
            name = names[target, options, key] = f"{self.cache_key} {signature.text} {target.text} {options}"
        kernel = kernels.get(name)
        if kernel is None:
            kernel = self._compile_named(name, self._binder.signature(values, key, target.debug), target, rest, warmup, captured)
            if kernel is None:
                return None
        if self._captured is not None:
            self._require_unchanged(self._captured)
        if not warmup:
            kernel.launch(self._sizes(grid, values), values, bound, target)
        return kernel

    def _call(self, args: tuple[Any, ...], given: Mapping[str, Any]) -> tuple[list[Any], Target]:
        values, rest = self._bind(args, given)
        return values, self._target(rest)

    def _bind(self, args: tuple[Any, ...], given: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        if self._clash is not None:
            raise CompilationError(self.src, self.parse().body[0], self._clash)
        return self._binder.bind(args, given)

    def _target(self, rest: Mapping[str, Any]) -> Target:
        from ....runtime.launch import target_of

        return target_of(rest, debug=bool(self.debug), kernel=self.name, parameters=self.arg_names)

    def _compile_named(
        self, name: str, signature: Signature, target: Target, given: Mapping[str, Any], warmup: bool, captured: Captures | None = None
    ) -> Any:
        kernels, _, machine, backend, _ = self.device_caches[get_device_key()]
        options = backend.parse_options({**given, "debug": target.debug})
        told = (name, signature, machine, options, warmup)
        if self._call_hook(knobs.runtime.jit_cache_hook, *told):
            return None
        source = ASTSource.of(self, signature)

        def build() -> CompiledKernel:
            return compile_source(source, machine, options, target, captured)

        def finish(kernel: CompiledKernel) -> None:
            kernels[name] = kernel
            self._call_hook(knobs.runtime.jit_post_compile_hook, *told)

        mode = _async_compile.active_mode.get()
        if mode is not None:
            kernels[name] = future = mode.submit(name, build, finish)
            return future
        kernel = build()
        finish(kernel)
        return kernel

    # --- hooks

    def _call_hook(self, hook: Any, name: str, signature: Signature, machine: GPUTarget, options: CPUOptions, warmup: bool) -> Any:
        if not hook:
            return None
        types, constants, attributes = describe(signature.parameters)
        shown = ("num_warps", "num_ctas", "num_stages", "enable_fp_fusion", "launch_cooperative_grid", "extern_libs")
        asked = {option: getattr(options, option) for option in shown}
        arguments = ", ".join(f"{parameter}: {kind}" for parameter, kind in types.items())
        settings = ", ".join(f"{k}={v}" for k, v in asked.items() if k != "extern_libs")
        data = serialised(self._fn_name, types, constants, attributes, options, name, machine)
        told = {
            "key": name, "signature": types, "device": driver.active.get_current_device(),  # type: ignore[attr-defined]
             "constants": constants, **asked,
            "configs": [attributes], "specialization_data": data, "is_warmup": warmup,
        }  # fmt: skip
        return hook(
            key=name, repr=f"{self.fn.__qualname__}[{settings}]({arguments})", fn=JitFunctionInfo(self.module, self.fn.__qualname__, self),
            compile=told, is_manual_warmup=warmup, already_compiled=False,
        )  # fmt: skip

    def preload(self, specialization_data: str) -> Any:
        """Compile what an earlier process told a hook of, and keep it under the same key."""
        found = json.loads(specialization_data)
        if found["name"] != self._fn_name:
            raise RuntimeError(f"Specialization data is for {found['name']} but trying to preload for {self._fn_name}")
        _, _, machine, _, _ = self.device_caches[get_device_key()]
        if vars(machine) != found["target"]:
            raise RuntimeError(f"Specialization data is for {found['target']} but trying to preload for {machine}")
        signature, options = decoded(self, found)
        given = {k: v for k, v in options.items() if k in _LAUNCH_OPTIONS and v is not None}
        return self._compile_named(found["key"], signature, self._target(given), given, True)

    def shown_name(self, signature: Signature) -> str:
        """The name of a kernel under a signature: the function's, or what its `repr` option says."""
        if self._repr is None:
            return self.name
        types, constants, attributes = describe(signature.parameters)
        by_name = {self.arg_names[path[0]]: value for path, value in constants.items() if len(path) == 1}
        return self._repr(Specialization(types, by_name, attributes))


_CLASHING = ("repr", "debug", "noinline")
_LAUNCH_OPTIONS = ("num_warps", "num_stages", "num_ctas", "maxnreg", "enable_fp_fusion", "debug")


def _known(fn: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options, without names of parameters that the function does not have: Triton overlooks them."""
    parameters = inspect.signature(fn).parameters
    names = {*parameters, *range(len(parameters))}
    lists = {k: [n for n in v if n in names] for k, v in options.items() if k.startswith("do_not_specialize") and v}
    return {**options, **lists}


def _shown(options: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, str(v)) for k, v in options.items()))


def _said_of(p: Formal, plain: set[Any], loose: set[Any]) -> dict[str, Any]:
    return {"do_not_specialize": bool({p.name, p.index} & plain), "do_not_specialize_on_alignment": bool({p.name, p.index} & loose)}


def _clash(function: JITFunction, plain: Any) -> str | None:
    """What is wrong with the decorator's options, told when the kernel is compiled."""
    both = next((p.name for p in function.params if p.is_constexpr and (p.name in plain or p.index in plain)), None)
    return None if both is None else f"{both} marked as constexpr and listed in do_not_specialize"


def jit(fn: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a function when it is launched or called by a kernel."""
    if fn is None:
        return lambda fn: jit(fn, **options)
    return JITFunction(fn.fn if isinstance(fn, Launchable) else fn, **options)


__all__ = [
    "Captures", "CompilationError", "ConstexprFunction", "JITCallable", "JITFunction", "JitFunctionInfo", "KernelInterface",
    "MockTensor", "StaticAssertionError", "TensorWrapper", "canonicalize_dtype", "constexpr", "constexpr_function", "get_device_key",
    "jit", "reinterpret", "text_of", "type_canonicalisation_dict",
]  # fmt: skip
