"""Launching: the grid, the options of a call, and handing a compiled kernel to its backend."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import config
from ..backend import registry
from ..backend.base import LAUNCHING, Backend, Options, Report
from ..beyond import STRICT
from ..errors import LaunchError, UnknownArgument, nearest
from ..record import Record
from .compiled import Compiled

Grid = tuple[int, int, int]
MOST = 0x7FFFFFFF  # programs along an axis: program_id is an i32

USED = ("num_threads", "num_cpu_threads", "backend", "enable_fp_fusion", "deterministic", "fast_math", "debug", "launch_cooperative_grid")
STEERING = ("num_stages",)  # what backends with `staged` hear of the names below
IGNORED = (  # what Triton programs pass to steer a GPU
    "num_warps", "num_stages", "num_ctas", "maxnreg", "extern_libs", "launch_pdl",
    "sanitize_overflow", "vec_lib", "instrumentation_mode", "waves_per_eu", "matrix_instr_nonkdim", "kpack", "ir_override",
)  # fmt: skip


class Target(Record, eq=False):
    """Where and how a launch runs."""

    backend: Backend
    options: Options
    debug: bool = False

    @property
    def text(self) -> str:
        """What the compiled code depends on, besides the backend's machine."""
        kept = ", ".join(f"{name}={value!r}" for name, value in self.options.items() if name not in LAUNCHING)
        return f"{self.backend.name}: {kept}, debug={self.debug}"


class Launched(Record):
    """What a launch returns: the compiled kernel, and what the backend reports of this run."""

    kernel: Compiled
    report: Report | None = None

    @property
    def asm(self) -> Mapping[str, str]:
        """The stages of the compiled kernel as text."""
        return registry.texts(self.kernel.program)

    def __repr__(self) -> str:
        seen = {"seconds": self.report and self.report.seconds, "cycles": self.report and self.report.cycles}
        measured = "".join(f", {value:.4g} {name}" for name, value in seen.items() if value is not None)
        return f"<launch of {self.kernel.name}{measured}; asm: {', '.join(self.asm)}>"


_targets: dict[object, Target] = {}


def target_of(given: Mapping[str, Any], *, debug: bool = False, kernel: str = "", parameters: Sequence[str] = ()) -> Target:
    """The target of a call with these keywords, which are no parameters."""
    name = given.get("backend")
    backend = registry.find(registry.default() if name is None else name)
    strict = config.strict_triton()  # signatures hold it; here it tells versions apart
    known = heard(backend)
    if strict:
        _require_triton_takes(given)
    if not given:
        key: object = (backend, debug, strict)
    else:
        key = (backend, debug, strict, *((k, v) for k, v in given.items() if k in known and v.__hash__ is not None))
        unknown = next((k for k in given if k not in USED and k not in IGNORED), None)
        if unknown is not None:
            raise UnknownArgument(
                f"Keyword argument {unknown} was specified but unrecognised: it is neither a parameter of `{kernel}` nor an option",
                notes=[f"parameters: {', '.join(parameters)}", f"options: {', '.join(USED)}"],
                help=nearest(unknown, [*parameters, *USED, *IGNORED]),
            )
    if any(v.__hash__ is None for k, v in given.items() if k in known):
        _options(given, backend)  # says what is wrong with it
    found = _targets.get(key)
    if found is None:
        found = _targets[key] = Target(backend, _options(given, backend), _flag("debug", given.get("debug", debug)))
    return found


def heard(backend: Backend) -> tuple[str, ...]:
    """The options that a backend's launches depend on."""
    return (*USED, *STEERING) if getattr(backend, "staged", 0) else USED


def _options(given: Mapping[str, Any], backend: Backend) -> Options:
    threads = given.get("num_threads", given.get("num_cpu_threads"))
    if threads is not None and (isinstance(threads, bool) or not hasattr(threads, "__index__") or operator.index(threads) < 0):
        raise LaunchError(f"`num_threads` is {threads!r}", help="pass an int of at least 1, or None or 0 for one per core")
    flags = {name: _flag(name, given[name]) for name in ("enable_fp_fusion", "deterministic", "fast_math") if given.get(name) is not None}
    flags["cooperative"] = _flag("launch_cooperative_grid", given.get("launch_cooperative_grid"))
    most = getattr(backend, "staged", 0)
    stages = given.get("num_stages") if most else None
    if stages is not None and (isinstance(stages, bool) or not hasattr(stages, "__index__") or operator.index(stages) < 0):
        raise LaunchError(f"`num_stages` is {stages!r}", help="pass an int: how many iterations of a loop may overlap, 1 for none")
    many = None if stages is None or operator.index(stages) >= most else max(1, operator.index(stages))
    return Options(num_threads=None if threads is None else operator.index(threads) or None, num_stages=many, **flags)


def _require_triton_takes(given: Mapping[str, Any]) -> None:
    """Refuse options that say nothing here, and that Triton would not compile with."""
    warps = given.get("num_warps")
    if warps is not None and (not isinstance(warps, int) or warps < 1 or warps & (warps - 1)):
        raise LaunchError(f"num_warps must be a power of 2, got {warps!r}", notes=[STRICT], help="pass 1, 2, 4, 8 or 16")


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | int | None):
        raise LaunchError(f"`{name}` is {value!r}", help="pass True or False")
    return bool(value)


def extents(grid: object, arguments: Callable[[], Mapping[str, Any]]) -> Grid:
    """The three extents of a grid: one to three ints, one int, or a function of the bound arguments that gives either."""
    if callable(grid):
        grid = _computed(grid, arguments())
    if type(grid) is tuple and len(grid) == 1 and type(grid[0]) is int and 0 <= grid[0] <= MOST:
        return (grid[0], 1, 1)
    try:
        axes = [operator.index(n) for n in (grid if isinstance(grid, tuple | list) else (grid,))]
    except TypeError:
        raise LaunchError(f"a grid is made of ints, got {grid!r}", help=_GRID) from None
    if not 1 <= len(axes) <= 3:
        raise LaunchError(f"a grid has 1 to 3 axes, got {len(axes)}", help=_GRID)
    if min(axes) < 0 or max(axes) > MOST:
        raise LaunchError(f"a grid axis counts 0 to {MOST} programs, got {tuple(axes)}", help=_GRID)
    x, y, z = (*axes, 1, 1)[:3]
    return (x, y, z)


class Meta(dict[str, Any]):
    """The arguments of a launch by name, as a grid that is a function receives them."""

    def __missing__(self, name: object) -> Any:
        notes = [f"arguments: {', '.join(self)}"]
        help = nearest(name, list(self)) if isinstance(name, str) else ""
        raise UnknownArgument(f"the grid asks for {name!r}, which is no argument", notes=notes, help=help or "ask for one of these")


def require_grid(grid: object, method: str) -> None:
    """Refuse what is not told how many programs to run."""
    if grid is None:
        raise LaunchError(f"`{method}` runs the kernel, and is given no grid", help=f"add one: kernel.{method}(..., grid=(n,))")


def _computed(grid: Callable[..., Any], arguments: Mapping[str, Any]) -> object:
    """What a function gives for the arguments."""
    try:
        return grid(arguments)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise  # it was called, and failed
        raise LaunchError(f"a grid that is a function takes the arguments, by name: {error}", help=_GRID) from None


_GRID = "kernel[(n,)](...), kernel[(n, m)](...) or kernel[lambda args: (tiledsl.cdiv(args['n'], args['BLOCK']),)](...)"


def profiled(run: Callable[..., Any], args: Sequence[Any], given: Mapping[str, Any]) -> Any:
    """The profile of a launch on a backend that counts cycles: the one named, the default, else npu."""
    require_grid(given.get("grid"), "profile")
    backend = registry.find(given.get("backend") or registry.default())
    if given.get("backend") is None and not hasattr(backend, "profiler"):
        backend = registry.find("npu")
    if not hasattr(backend, "profiler"):
        raise LaunchError(f"`{backend.name}` counts no cycles, so there is no profile", help='leave `backend` out, or write backend="npu"')
    with registry.standing_in(backend.profiler):
        launched = run(*args, **{**given, "backend": backend.name})
    if launched.report is None:
        raise LaunchError("a grid without programs has no profile", help="launch at least one program")
    return launched.report.profile
