"""Running passes: verify between them, show, time, stop, and bisect a miscompile."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .. import config
from ..errors import ConfigError, VerifyError, nearest
from ..interpreter import Argument, interpret
from ..ir.core import Kernel
from ..ir.printer import show as show_kernel
from ..ir.verify import verify as verify_kernel
from ..machine import Machine
from ..memory import Buffer, regions_of

STAGES = ("frontend", "source", "final", "llvm", "asm")  # what `kernel.show` prints besides passes; the last two of the backends


@dataclass(frozen=True)
class Pass:
    """One step: its name, what it does, why it stands where it stands, and the launch option it needs, if any."""

    name: str
    run: Callable[[Kernel, Machine], Kernel]
    reason: str
    needs: str = ""  # of the options of a launch: the step is left out when this one is off
    exact: bool = True  # whether results stay the same bit for bit


def run(
    kernel: Kernel,
    passes: Sequence[Pass],
    machine: Machine,
    *,
    options: object = None,
    stop_after: str | None = None,
    verify: bool | None = None,
    show: Collection[str] | None = None,
) -> Kernel:
    """The kernel after all passes that the options allow, or up to one of them. What is not said, the environment
    says: TILEDSL_STOP_AFTER, TILEDSL_VERIFY, TILEDSL_SHOW (printed to stderr) and TILEDSL_TIME."""
    stop_after = config.stop_after() if stop_after is None else stop_after
    verify = config.verify() if verify is None else verify
    show = config.show() if show is None else show
    timed = config.time_passes()
    _require_known(passes, [*([stop_after] if stop_after else []), *(name for name in show if name != "all")])
    for step in enabled(passes, options):
        start = time.perf_counter()
        kernel = step.run(kernel, machine)
        if timed:
            print(f"{kernel.name}: {step.name} took {(time.perf_counter() - start) * 1e3:.2f} ms", file=sys.stderr)
        if "all" in show or step.name in show:
            print(f"; {kernel.name} after {step.name}\n{show_kernel(kernel)}", file=sys.stderr)
        if verify:
            check(kernel, step)
        if step.name == stop_after:
            break
    return kernel


def _require_known(passes: Sequence[Pass], wanted: Sequence[str]) -> None:
    """Refuse names that no step has."""
    known = [step.name for step in passes]
    for name in wanted:
        if name not in known:
            stage = name if name in STAGES else STAGES[0]
            shown = f"kernel.show(arguments, stage={stage!r}) prints a stage that is no pass: {', '.join(STAGES)}"
            raise ConfigError(f"there is no pass `{name}`", notes=[f"passes: {', '.join(known)}"], help=nearest(name, known) or shown)


def enabled(passes: Sequence[Pass], options: object = None) -> list[Pass]:
    """The steps that options allow."""
    return [step for step in passes if not step.needs or getattr(options, step.needs, True)]


def check(kernel: Kernel, step: Pass) -> None:
    """Verify what a step made; the error names the step."""
    try:
        verify_kernel(kernel)
    except VerifyError as error:
        d = error.diagnostic
        raise VerifyError(f"after the pass `{step.name}`: {d.message}", d.loc, notes=d.notes, help=d.help) from None


def stages(kernel: Kernel, passes: Sequence[Pass], machine: Machine, options: object = None) -> Iterator[tuple[str, Kernel]]:
    """The kernel as written, then after each step, with the step's name."""
    yield "input", kernel
    for step in enabled(passes, options):
        kernel = step.run(kernel, machine)
        yield step.name, kernel


# --- bisection


def bisect(
    kernel: Kernel,
    passes: Sequence[Pass],
    machine: Machine,
    grid: Sequence[int],
    args: Sequence[Argument],
    options: object = None,
) -> str | None:
    """The name of the first step after which the interpreted kernel gives other results, or None; args are left alone.

    A step that rounds anew by design may move results by half of their digits, measured against the largest of a
    buffer; later steps are held to its results, bit for bit."""
    expected = outcome(kernel, grid, args)
    for step in enabled(passes, options):
        kernel = step.run(kernel, machine)
        found = outcome(kernel, grid, args)
        for a, b in zip(expected, found, strict=True):
            if not (equal(a, b) if step.exact else near(a, b)):
                return step.name
        expected = found
    return None


def outcome(kernel: Kernel, grid: Sequence[int], args: Sequence[Argument]) -> list[np.ndarray]:
    """What each buffer holds after a run on copies of all buffers; buffers that overlap do so in the copy."""
    buffers = [a for a in args if isinstance(a, Buffer)]
    moved: dict[int, tuple[Buffer, np.ndarray]] = {}
    for region in regions_of(buffers):
        copy = np.zeros(len(region.bytes) + 64, np.uint8)
        start = (region.start - copy.ctypes.data) % 64  # as aligned as the original
        inside = copy[start : start + len(region.bytes)]
        inside[:] = region.bytes
        for b in buffers:
            if region.start <= b.address < max(region.stop, region.start + 1):
                at = b.address - region.start
                moved[id(b)] = (replace(b, address=inside.ctypes.data + at, owner=copy), inside[at : at + b.nbytes])
    interpret(kernel, grid, [moved[id(a)][0] if isinstance(a, Buffer) else a for a in args])
    out = []
    for b in buffers:
        held = moved[id(b)][1]
        whole = held[: len(held) // b.dtype.itemsize * b.dtype.itemsize]
        out.append(b.dtype.decode(np.ascontiguousarray(whole).view(b.dtype.storage)))
    return out


def equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Bit for bit the same, all NaNs taken as one."""
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    same = (a == b) & (np.signbit(a) == np.signbit(b)) | (np.isnan(a) & np.isnan(b))
    return bool(same.all())


def near(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal in the upper half of the digits, measured against the largest; integers are equal."""
    if a.dtype.kind != "f":
        return equal(a, b)
    finite = np.isfinite(a) & np.isfinite(b)
    if not equal(a[~finite], b[~finite]):
        return False
    x, y = a[finite].astype(np.float64), b[finite].astype(np.float64)
    scale = np.abs(x).max(initial=0.0)
    return bool((np.abs(x - y) <= scale * np.sqrt(np.finfo(a.dtype).eps)).all())
