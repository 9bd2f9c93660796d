"""How far the functions lie from their meaning: `python -m tiledsl.numerics.check exp log` tries every f32 there is.

It runs the compiled functions (`--backend cpu`), some minutes each, and compares with NumPy in double precision.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np

from .. import ops
from ..backend import registry
from ..backend.base import Options
from ..interpreter import Run
from ..ir.core import Block, Builder, Kernel, Value
from ..ir.spec import OpSpec
from ..ir.types import DTYPES, DType, Pointer, Tile, f32, i32
from ..machine import Machine
from ..memory import Buffer, Memory
from ..passes import pipeline
from ..passes.numerics import numerics
from . import FUNCTIONS

CHUNK = 1 << 20
LANES = 1024


def distance(result: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How many units in the last place (of result's type) each result is off; infinite where the kind is wrong.

    The truth has more precision. Where it rounds to infinity, infinity is right; of zeros, the sign counts.
    """
    with np.errstate(all="ignore"):
        nearest = truth.astype(result.dtype)
        off = np.abs(result - truth) / np.spacing(np.abs(nearest))
    special = np.flatnonzero(~np.isfinite(off) | (nearest == 0))
    got, want, exact = result[special], nearest[special], truth[special]
    same = np.where(exact == 0, (got == 0) & (np.signbit(got) == np.signbit(exact)), (got == want) | (np.isnan(got) & np.isnan(exact)))
    rounded_away = (want == 0) & (exact != 0) & np.isfinite(got)  # a truth below the smallest number
    off[special] = np.where(rounded_away, off[special], np.where(same, 0.0, np.inf))
    return off.astype(np.float64)


def define(spec: OpSpec, *inputs: np.ndarray, elem: DType | None = None) -> np.ndarray:
    """A function of arrays by its definition, run by the reference interpreter."""
    elem = elem or DTYPES[f"f{inputs[0].dtype.itemsize * 8}"]
    build = Builder(Block([Value(Tile(elem, x.shape)) for x in inputs]))
    build.emit(spec, *build.block.args).name = "result"
    kernel = numerics(Kernel("define", build.block), Machine("any"))
    run = Run(Memory([]), (1, 1, 1), (0, 0, 0))
    run.block(kernel.body, inputs)
    return next(array for value, array in run.values.items() if value.name == "result")


def compiled(spec: OpSpec, name: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function of CHUNK f32 numbers, compiled by a backend."""
    backend = registry.find(name)
    program = backend.compile(pipeline.run(elementwise_kernel(spec), backend.passes, backend.machine), Options())

    def run(x: np.ndarray) -> np.ndarray:
        y = np.empty_like(x)
        buffers = [Buffer(a.ctypes.data, a.nbytes, f32, owner=a, name=n) for n, a in (("x", x), ("y", y))]
        backend.launch(program, (CHUNK // LANES, 1, 1), buffers, Options())
        return y

    return run


def elementwise_kernel(spec: OpSpec) -> Kernel:
    """y[i] = spec(x[i]) for f32, LANES of them per program."""
    build = Builder(Block([Value(Tile(Pointer(f32)), name) for name in "xy"]))
    start = build.emit(ops.mul, build.emit(ops.program_id, axis=0), build.emit(ops.constant, value=LANES, type=Tile(i32)))
    places = build.emit(ops.arange, start=0, stop=LANES)
    places = build.emit(ops.add, build.emit(ops.broadcast, start, shape=(LANES,)), places)
    x, y = (build.emit(ops.offset, build.emit(ops.broadcast, p, shape=(LANES,)), places) for p in build.block.args)
    build.emit(ops.store, y, build.emit(spec, build.emit(ops.load, x)))
    return Kernel(f"every_{spec.name}", build.block)


def every_number() -> Iterator[np.ndarray]:
    """All f32 numbers, NaNs included, by their bits."""
    for start in range(0, 1 << 32, CHUNK):
        yield (start + np.arange(CHUNK, dtype=np.uint64)).astype(np.uint32).view(np.float32)


def worst(spec: OpSpec, backend: str) -> tuple[float, float]:
    """The largest distance over every f32, and where it is."""
    run, found, place = compiled(spec, backend), -1.0, 0.0
    for x in every_number():
        with np.errstate(all="ignore"):
            off = distance(run(x), spec.evaluate(x.astype(np.float64)))
        i = int(np.argmax(off))
        if off[i] > found:
            found, place = float(off[i]), float(x[i])
    return found, place


def main() -> None:
    unary = {spec.name: spec for spec in FUNCTIONS if len(spec.operands) == 1}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("functions", nargs="*", choices=[[], *unary], help="all when none is named")
    parser.add_argument("--backend", default="cpu")
    chosen = parser.parse_args()
    for name in chosen.functions or unary:
        found, place = worst(unary[name], chosen.backend)
        print(f"{name}: {found:.4f} ulp at {place!r} ({np.float32(place).view(np.uint32):#010x})", flush=True)


if __name__ == "__main__":
    main()
