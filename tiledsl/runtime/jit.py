"""`@jit`: a function that can be launched over a grid, shown at any stage, and compiled ahead of time."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np

from .. import config, epoch, forks, messages
from ..collecting import rarely
from ..errors import ArgumentError, Diagnostic, LaunchError, TileError, nearest
from ..frames import entrance, trimmed
from ..frontend.captures import Captures
from ..frontend.function import JITFunction
from ..frontend.signature import Signature
from ..ir.core import Kernel, Op
from ..ir.types import DTYPES, i64
from ..memory import Buffer, outside, placed, regions_of, spans_of
from . import cache
from .arguments import Bound, Key, Slot, element_of
from .compiled import Compiled
from .launch import IGNORED, Launched, Meta, Target, extents, profiled, require_grid, target_of
from .specialize import Binder

if TYPE_CHECKING:
    from ..backend.direct import Direct, Watch


GRIDS = 256  # of a kernel, whose launchers are kept
PATIENCE = 8  # calls of a launcher before any is described to native code: getting ready for it takes milliseconds
LESSONS = 64  # calls after these that are looked at


class Launchable(JITFunction):
    """A jit function with its compiled versions: `kernel[grid](arguments)`."""

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        do_not_specialize: Iterable[str | int] | None = None,
        do_not_specialize_on_alignment: Iterable[str | int] | None = None,
        debug: bool | None = None,
        noinline: bool | None = None,
        repr: Callable[..., str] | None = None,
        launch_metadata: Callable[..., Any] | None = None,
        version: object = None,
    ):
        super().__init__(fn, noinline=bool(noinline), debug=config.debug() if debug is None else bool(debug))
        self.repr, self.launch_metadata, self.version = repr, launch_metadata, version
        self._binder = Binder(self, do_not_specialize or (), do_not_specialize_on_alignment or ())
        self._versions: dict[tuple[Target, tuple[Key, ...]], Compiled] = {}
        self._captured: Captures | None = None  # as they were at the first compilation
        self._launchers: dict[object, tuple[object, Callable[..., Any]]] = {}  # by grid
        self.pre_run_hooks: list[Callable[..., Any]] = []

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("debug", "pre_run_hooks"):  # what a launch looks at
            epoch.advance()
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_launchers": {}}  # a copy launches itself

    # --- launching

    def __getitem__(self, grid: object) -> Callable[..., Any]:
        try:
            kept, launcher = self._launchers[grid]
        except (KeyError, TypeError):  # a new one, or a list
            return self._launcher(grid)
        # (1.0,) is equal to (1,), and no grid
        if kept is grid or (type(grid) is tuple and len(grid) == 1 and type(grid[0]) is int):
            return launcher
        return self._launcher(grid)

    def _launcher(self, grid: object) -> Callable[..., Any]:
        """The launcher of a grid; those of tuples of ints are kept, and learn."""
        if type(grid) is not tuple or set(map(type, grid)) != {int}:
            return Launcher(self, grid)
        if grid not in self._launchers:
            if len(self._launchers) >= GRIDS:
                self._launchers.clear()  # a grid for every launch: learning is no use
            self._launchers[grid] = grid, Launcher(self, grid)
        return self._launchers[grid][1]

    @entrance
    def run(self, *args: Any, grid: object, warmup: bool = False, **given: Any) -> Launched:
        """Launch over a grid, or only compile."""
        return self.warmup(*args, **given) if warmup else self.launch(grid, args, given)

    @entrance
    def warmup(self, *args: Any, grid: object = None, **given: Any) -> Launched:
        """Compile for arguments like these; a dtype stands for an aligned array of it."""
        values, target = self._call(args, given)
        compiled, _ = self._version([_array_of(v, i) for i, v in zip(self._binder.slots, values, strict=True)], target)
        return Launched(compiled)

    def launch(self, grid: object, args: tuple[Any, ...], given: Mapping[str, Any]) -> Launched:
        """What `kernel[grid](*args, **given)` does."""
        values, target = self._call(args, given)
        for hook in self.pre_run_hooks:
            hook(*args, **given)
        compiled, bound = self._version(values, target)
        sizes = self._sizes(grid, values)
        for index in compiled.stored:
            if index < len(bound) and not bound[index].writable:  # type: ignore[union-attr]
                raise self._read_only(bound[index])
        if 0 in sizes:
            return Launched(compiled)
        if compiled.messages:
            return self._listening(compiled, sizes, bound, target)
        return Launched(compiled, target.backend.launch(compiled.program, sizes, bound, target.options))

    def _listening(self, compiled: Compiled, sizes: tuple[int, int, int], bound: list[Bound], target: Target) -> Launched:
        """A launch of a kernel that may say something: prints it, or raises what it asserts, or what it may not touch."""
        arrays = [b for b in bound if isinstance(b, Buffer)]
        words = messages.empty(spans_of(arrays) if any(m.access for m in compiled.messages) else ())
        try:
            report = target.backend.launch(compiled.program, sizes, [*bound, _listener(words)], target.options)
        finally:  # whatever else came of it: a program that reads outside may wait in vain
            messages.tell(compiled.messages, words)
            if (found := messages.outside(compiled.messages, words)) is not None:
                message, lane, address, program = found
                ((elem, shape),) = message.operands
                through = arrays[int(message.text)].name if message.text else ""
                fault = outside(regions_of(arrays), message.access, DTYPES[elem], address, shape, lane, through)
                raise placed(fault, program, sizes).at(message.loc)
        messages.require_held(compiled.messages, words)
        return Launched(compiled, report)

    def _call(self, args: tuple[Any, ...], given: Mapping[str, Any]) -> tuple[list[Any], Target]:
        values, rest = self._binder.bind(args, given)
        try:
            return values, target_of(rest, debug=self.debug, kernel=self.name, parameters=self.arg_names)
        except LaunchError as error:
            raise error.at(self.place()) from None

    def _version(self, values: list[Any], target: Target) -> tuple[Compiled, list[Bound]]:
        """The compiled version for these values, and what it is called with."""
        bound: list[Bound] = []
        key = self._binder.key(values, bound)
        if self._captured is not None:
            self._require_unchanged(self._captured)
        found = self._versions.get((target, key))
        if found is None:
            found = self._versions[target, key] = self._compile(self._binder.signature(values, key, target.debug), target)
        return found, bound

    def _compile(self, signature: Signature, target: Target) -> Compiled:
        with forks.lock, rarely():  # a child must not inherit what compiling holds: imports, LLVM, the locks of cached properties
            captured = self._captured or self.captures()
            key = cache.key_of(f"{captured.digest} {self.version}", signature.text, target.text, target.backend)
            made = cache.kernels.get(key, lambda: _compiler().compile_kernel(self, signature, target.backend, target.options, key))
        self._captured = captured  # not before it compiled: a name that was missing may yet be defined
        return made

    # --- what native code that repeats launches has to know (direct.py); a subclass that launches in its own way says its own

    overlooked: ClassVar[tuple[str, ...]] = IGNORED  # options that make no difference

    @property
    def learns(self) -> bool:
        """Whether native code may repeat its launches."""
        return type(self).launch is Launchable.launch

    def kept(self, target: Target, key: tuple[Key, ...], rest: Mapping[str, Any]) -> Compiled | None:
        """What was compiled for a call with this target, these arguments and these options."""
        return self._versions.get((target, key))

    def watches(self, launched: Any) -> list[Watch]:
        """Variables that a launch which returned this looks at, besides those that every launch does."""
        return []

    def extents(self, grid: object, args: tuple[Any, ...], given: Mapping[str, Any]) -> tuple[int, int, int]:
        """The extents of a grid for these arguments."""
        return self._sizes(grid, self._binder.bind(args, given)[0])

    def _sizes(self, grid: object, values: list[Any]) -> tuple[int, int, int]:
        try:
            return extents(grid, lambda: Meta(zip(self._binder.names, values, strict=True)))
        except LaunchError as error:
            raise error.at(self.place()) from None

    def _require_unchanged(self, captured: Captures) -> None:
        changed = captured.changed()
        if changed is not None:
            now = changed.now()
            raise RuntimeError(
                f"Global variable {changed.name} has changed since we compiled this kernel, from {changed.shown} to {now!r}; "
                f"pass it to `{self.name}` as a tl.constexpr parameter, or define `{self.name}` again"
            )

    def remember(self, captured: Captures) -> None:
        """Let every function reached know what it read; one that once read something else cannot be compiled again."""
        for function in captured.functions:
            known = function.__dict__.setdefault("_read", {})
            for capture in captured.read_by[id(function)]:
                if not capture.is_plain:
                    continue
                before = known.setdefault((id(capture.scope), capture.name), capture)
                if before.text != capture.text and function is not self:
                    raise RuntimeError(
                        f"Global variable {capture.name} has value {capture.shown} when compiling {self.name}, but {function.name}, "
                        f"which it calls, was compiled when it was {before.shown}"
                    )

    def _read_only(self, buffer: Bound) -> LaunchError:
        assert isinstance(buffer, Buffer)
        return LaunchError(
            f"`{self.name}` stores to `{buffer.name}`, which is read-only",
            self.place(buffer.name.partition(".")[0]),
            help=f"pass a writable array, such as {buffer.name}.copy()",
        )

    # --- looking inside

    @entrance
    def profile(self, *args: Any, grid: object = None, **given: Any) -> Any:
        """Launch on a backend that counts cycles, npu unless named, and give what explains them: print it; `.trace(path)` and
        `.html(path)` write it in full."""
        return profiled(self.run, args, {**given, "grid": grid})

    @entrance
    def bisect(self, *args: Any, grid: object = None, **given: Any) -> str | None:
        """The first pass of the backend after which the interpreter computes something else than before, on copies of these
        arguments; None if all of them keep every result."""
        require_grid(grid, "bisect")
        values, target = self._call(args, given)
        bound: list[Bound] = []
        signature = self._binder.signature(values, self._binder.key(values, bound), target.debug)
        heard = _listener(messages.empty(()))
        return _compiler().bisect(self, signature, target.backend, target.options, self._sizes(grid, values), bound, heard)

    @entrance
    def lower(self, *args: Any, **given: Any) -> Kernel:
        """The tile program for arguments like these, as the frontend makes it."""
        values, target = self._call(args, given)
        return _compiler().lower_function(self, self._signature(values, target))

    @entrance
    def notes(self, *args: Any, **given: Any) -> tuple[Diagnostic, ...]:
        """What in the kernel for arguments like these goes beyond Triton; TILEDSL_STRICT_TRITON makes it an error."""
        return self.lower(*args, **given).notes

    def divides_by_zero(self, args: tuple[Any, ...], given: Mapping[str, Any]) -> Op | None:
        """The division of integers by zero that a launch with these arguments would compute, as far as they alone tell."""
        values, target = self._call(args, given)
        bound: list[Bound] = []
        signature = self._binder.signature(values, self._binder.key(values, bound), target.debug)
        return _compiler().dividing_by_zero(self, signature, bound)

    def stages(self, *args: Any, **given: Any) -> Iterator[tuple[str, str]]:
        """(name, text) of every stage: "source", "frontend", each pass, "final", then those of the backend. Each is made
        when asked for, so that those before a failing one can be seen."""
        values, target = self._call(args, given)
        return _compiler().stages(self, self._signature(values, target), target.backend, target.options)

    @entrance
    def show(self, *args: Any, stage: str = "final", grid: object = None, **given: Any) -> None:
        """Print one stage; an unknown one lists them."""
        seen = []
        for name, text in self.stages(*args, **given):
            if name == stage:
                print(text)
                return
            seen.append(name)
        raise LaunchError(f"there is no stage `{stage}`", notes=[f"stages: {', '.join(seen)}"], help=nearest(stage, seen))

    def _signature(self, values: list[Any], target: Target) -> Signature:
        values = [_array_of(v, slot) for slot, v in zip(self._binder.slots, values, strict=True)]
        return self._binder.signature(values, self._binder.key(values, []), target.debug)

    # --- what Triton programs read

    @property
    def src(self) -> str:
        return self.source

    @cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.fn)

    @property
    def cache_key(self) -> str:
        return self.fingerprint

    def add_pre_run_hook(self, hook: Callable[..., Any]) -> None:
        """Call a function with the arguments before every launch."""
        self.pre_run_hooks.append(hook)


class Launcher:
    """A kernel and a grid, waiting for arguments. What is launched again and again is handed to the backend's native code."""

    __slots__ = ("calls", "direct", "epoch", "grid", "kernel")

    def __init__(self, kernel: Launchable, grid: object):
        self.kernel, self.grid = kernel, grid
        self._begin()

    def _begin(self) -> None:
        """With nothing learnt."""
        self.calls, self.epoch = 0, epoch.word.value
        self.direct: Direct | None = None

    def __call__(self, *args: Any, **given: Any) -> Launched:
        try:
            if self.direct is not None:
                return self.direct.call(*args, **given)
            if callable(self.grid) and self.kernel.learns and not self.kernel.pre_run_hooks:
                sizes = None
                with suppress(Exception):  # the slow way meets it again, unless something else is wrong before
                    sizes = self.kernel.extents(self.grid, args, given)
                if sizes is not None:
                    return self.kernel[sizes](*args, **given)
            return self.slowly(*args, **given)
        except TileError as error:
            raise trimmed(error)  # noqa: B904  the same error

    def slowly(self, *args: Any, **given: Any) -> Launched:
        """A launch by way of Python."""
        launched = self.kernel.launch(self.grid, args, given)
        if self.epoch != epoch.word.value:
            self._begin()
        self.calls += 1
        if self.kernel.learns and PATIENCE < self.calls <= PATIENCE + LESSONS:
            self._learn(args, given, launched)
        return launched

    def _learn(self, args: tuple[Any, ...], given: Mapping[str, Any], launched: Launched) -> None:
        """Let native code answer the next call like this one."""
        with forks.lock, rarely():  # a child must not inherit the lock of a module that is being imported
            from . import direct  # for kernels that are launched more than once

            direct.teach(self, args, given, launched)


def _listener(words: np.ndarray) -> Buffer:
    """The hidden last argument of kernels that may say something."""
    return Buffer(words.ctypes.data, words.nbytes, i64, True, words, "messages")


def _compiler() -> ModuleType:
    """What makes kernels that are not in the cache."""
    from . import compile  # the frontend and the passes take longer to import than a kernel from the cache to load

    return compile


def _array_of(value: Any, slot: Slot) -> Any:
    """An array that stands for a dtype of NumPy, PyTorch or the language; other values as they are."""
    is_dtype = isinstance(value, np.dtype) or type(value).__name__ == "dtype"
    elem = element_of(value) if is_dtype and not slot.constant else None
    return value if elem is None else Buffer(0, 0, elem, name=slot.name)


OPTIONS = tuple(inspect.signature(Launchable).parameters)[1:]


@overload
def jit(fn: Callable[..., Any], /) -> Launchable: ...
@overload
def jit(fn: None = None, /, **options: Any) -> Callable[[Callable[..., Any]], Launchable]: ...
def jit(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Compile a function for tiles when it is launched or called by a kernel; `jit` or `jit(do_not_specialize=[...], ...)`."""
    for name in options:
        if name not in OPTIONS:
            raise ArgumentError(
                f"jit has no option `{name}`",
                notes=[f"options: {', '.join(OPTIONS)}"],
                help=nearest(name, OPTIONS) or f"options of a launch are given to it: kernel[grid](..., {name}=...)",
            )
    if fn is None:
        return lambda fn: Launchable(fn, **options)
    return Launchable(fn, **options)
