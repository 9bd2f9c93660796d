"""What a user would pick instead, as far as it is installed: the same results, the same arrays, as many threads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..backends.cpu.machine import processors
from ..kernels.sample import Sample

PEERS = ("numpy", "torch", "inductor", "numba", "jax")
Call = Callable[[], Any]


def installed() -> list[str]:
    """The peers of this environment; PyTorch's inductor is torch.compile."""
    package = {"inductor": "torch"}
    return [name for name in PEERS if find_spec(package.get(name, name))]


def candidates(
    sample: Sample, arrays: Sequence[Any], settings: Mapping[str, Any], result: Any, threads: int, names: Sequence[str]
) -> Iterator[tuple[str, Call]]:
    """(name, call) of every peer that declares this kernel."""
    settings = {name: value for name, value in settings.items() if name not in sample.tuning}
    for name in names:
        rival = sample.rivals.get("torch" if name == "inductor" else name)
        if rival is not None and accepts(rival, settings):
            call = CALLS[name](rival, arrays, settings, result, threads)
            if call is not None:
                yield name, call


def accepts(function: Callable[..., Any], settings: Mapping[str, Any]) -> bool:
    """Whether a function can be told these settings; one that takes none computes what no settings ask for."""
    return set(settings) <= set(inspect.signature(function).parameters)


def writes(function: Callable[..., Any], result: Any) -> dict[str, Any]:
    """Where a function shall write each time, if it can be told."""
    return {"out": result} if "out" in inspect.signature(function).parameters else {}


def _numpy(rival: Any, arrays: Sequence[Any], settings: Mapping[str, Any], result: Any, threads: int) -> Call | None:
    if threads != processors() and find_spec("threadpoolctl") is None:
        _say(f"NumPy is left out: its matrix products can be held to {threads} of {processors()} threads if threadpoolctl is installed")
        return None
    more = {**settings, **writes(rival, result)}
    return lambda: rival(*arrays, **more)


def _tensors(arrays: Sequence[Any], result: Any, threads: int) -> tuple[Any, list[Any], Any]:
    torch = import_module("torch")
    torch.set_num_threads(threads)
    several = isinstance(result, tuple)
    out = tuple(torch.from_numpy(r.copy()) for r in (result if several else (result,)))
    return torch, [torch.from_numpy(a) for a in arrays], out if several else out[0]


def _torch(rival: Any, arrays: Sequence[Any], settings: Mapping[str, Any], result: Any, threads: int) -> Call:
    torch, tensors, out = _tensors(arrays, result, threads)
    more = {**settings, **writes(rival, out)}

    def call() -> Any:
        torch.set_num_threads(threads)  # numba and others share its pool
        return rival(torch, *tensors, **more)

    return call


def _inductor(rival: Any, arrays: Sequence[Any], settings: Mapping[str, Any], result: Any, threads: int) -> Call | None:
    torch, tensors, out = _tensors(arrays, result, threads)
    torch._dynamo.reset()  # each kernel is compiled for its own shape
    if writes(rival, out):
        made = torch.compile(lambda out, *given: rival(torch, *given, **settings, out=out), dynamic=False)
        given = [out, *tensors]
    else:
        made = torch.compile(lambda *given: rival(torch, *given, **settings), dynamic=False)
        given = tensors
    try:
        made(*given)
    except Exception as error:  # no compiler on this machine, or nothing it can compile: then it is no choice of a user's
        _say(f"torch.compile: {type(error).__name__}")
        return None
    return lambda: made(*given)


def _numba(rival: Any, arrays: Sequence[Any], settings: Mapping[str, Any], result: Any, threads: int) -> Call:
    numba = import_module("numba")
    function = rival(numba, **settings)
    out = result if isinstance(result, tuple) else (result,)
    copies = [r.copy() for r in out]

    def call() -> Any:
        numba.set_num_threads(threads)
        return function(*arrays, *copies)

    return call


def _jax(rival: Any, arrays: Sequence[Any], settings: Mapping[str, Any], result: Any, threads: int) -> Call | None:
    if threads != processors():  # its pool has a thread for every processor: `taskset` holds it, and us, to fewer
        return None
    jax = import_module("jax")
    function = jax.jit(rival(jax, **settings))
    given = [jax.device_put(a) for a in arrays]
    return lambda: jax.block_until_ready(function(*given))


CALLS: Mapping[str, Callable[..., Call | None]] = {
    "numpy": _numpy, "torch": _torch, "inductor": _inductor, "numba": _numba, "jax": _jax,
}  # fmt: skip


@cache
def _say(text: str) -> None:
    """Beside the table, once."""
    print(f"<!-- {text} -->")


def blas_threads(threads: int) -> AbstractContextManager[Any]:
    """NumPy's matrix products held to so many threads, where threadpoolctl is importable; where not, it is no peer unless they may
    take all processors."""
    if find_spec("threadpoolctl") is None:
        return nullcontext()
    limits: AbstractContextManager[Any] = import_module("threadpoolctl").threadpool_limits(limits=threads, user_api="blas")
    return limits
