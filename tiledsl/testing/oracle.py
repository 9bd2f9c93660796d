"""One launch on several machines: do they agree bit for bit, and if not, where and since which pass?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..backend import registry
from ..backend.base import Options
from ..interpreter import interpret
from ..ir.types import DType
from ..machine import Machine
from ..passes import pipeline
from ..passes.pipeline import Pass
from .cases import Array, Case, bind

RAW = "as written"  # the interpreter on the kernel before any pass
DEFAULTS, ANY_MACHINE = Options(), Machine("any")
Outputs = list[np.ndarray]


class Disagreement(AssertionError):
    """Two runs of one case differ; says where."""


def run_case(case: Case, subject: str = RAW, options: Options = DEFAULTS, numerics: Sequence[Pass] = ()) -> Outputs:
    """What all arrays hold after a launch on a backend, or on the raw kernel by the interpreter; with a machine's numerics, if given."""
    bound, copies = bind(case)
    if subject == RAW:
        interpret(pipeline.run(case.kernel, numerics, ANY_MACHINE) if numerics else case.kernel, case.grid, bound)
        return copies
    backend = registry.find(subject)
    lowered = pipeline.run(case.kernel, (*backend.passes, *numerics), backend.machine, options=options)
    backend.launch(backend.compile(lowered, options), case.grid, bound, options)
    return copies


def compare(case: Case, subjects: Sequence[str], options: Options = DEFAULTS) -> Outputs:
    """The outputs, which all subjects must agree on; Disagreement names the first difference. What a machine computes otherwise
    than the language says, the first subject computes for it, too."""
    expected = plain = run_case(case, subjects[0], options)
    for subject in subjects[1:]:
        numerics = () if subject == RAW else getattr(registry.find(subject), "numerics", ())
        expected = run_case(case, subjects[0], options, numerics) if numerics else plain
        found = run_case(case, subject, options)
        if difference := explain(case, expected, found, subjects[0], subject):
            raise Disagreement(f"{difference}{_blame(case, subjects[0], subject, options)}\n{case!r}")
    return plain


def agrees_before_and_after(case: Case, passes: Sequence[Pass], machine: Machine = ANY_MACHINE) -> None:
    """Passes that claim to be exact change no bit of any result; Disagreement names the first that did."""
    text = repr(case.kernel)
    expected = run_case(case)
    kernel = case.kernel
    for step in passes:
        kernel = step.run(kernel, machine)
        pipeline.check(kernel, step)
        after = case.of(kernel)
        if difference := explain(case, expected, run_case(after), "before", f"after the pass `{step.name}`"):
            raise Disagreement(f"{difference}\n{case!r}\n; after {step.name}:\n{kernel!r}")
    assert repr(case.kernel) == text, "a pass changed its input"


def explain(case: Case, expected: Outputs, found: Outputs, one: str, other: str) -> str:
    """The first element that differs, as a sentence; the empty string if none does."""
    arrays = [a for a in case.args if isinstance(a, Array)]
    for array, x, y in zip(arrays, expected, found, strict=True):
        wrong = np.flatnonzero(~same_bits(array.dtype, x, y))
        if wrong.size:
            i = int(wrong[0])
            more = f" and {wrong.size - 1} more" if wrong.size > 1 else ""
            return f"`{array.name}`[{i}]{more}: {one} {_both(array.dtype, x[i])}, {other} {_both(array.dtype, y[i])}"
    return ""


def same_bits(dtype: DType, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where stored elements are equal: all NaNs are, zeros of different sign are not."""
    unsigned = np.dtype(f"u{x.dtype.itemsize}")
    equal: np.ndarray = x.view(unsigned) == y.view(unsigned)
    if dtype.is_float:
        equal |= np.isnan(dtype.decode(x)) & np.isnan(dtype.decode(y))
    return equal


def _both(dtype: DType, stored: np.generic) -> str:
    one = np.asarray([stored])
    return f"{dtype.decode(one)[0]} (0x{one.tobytes()[::-1].hex()})"


def _blame(case: Case, one: str, other: str, options: Options) -> str:
    """Which pass of either subject first changed what the interpreter computes, if any did."""
    lines = []
    for subject in dict.fromkeys([one, other]):
        if subject == RAW:
            continue
        backend = registry.find(subject)
        bound, _ = bind(case)
        guilty = pipeline.bisect(case.kernel, backend.passes, backend.machine, case.grid, bound, options)
        lines.append(
            f"{subject}: the pass `{guilty}` changed the result" if guilty else f"{subject}: no pass changed the interpreted result"
        )
    return "".join(f"\n{line}" for line in lines)


def backends() -> list[str]:
    """The backends whose package is here; what else goes wrong when one is imported is not hidden."""
    found = []
    for name in registry.names():
        try:
            registry.find(name)
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("tiledsl.backends"):
                raise
            continue
        found.append(name)
    return found
