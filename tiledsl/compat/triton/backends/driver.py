"""The driver of the CPU: what it is, how many cores it has, and streams and events that are already done."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from ..tensormaps import fill_1d_tma_descriptor, fill_2d_tma_descriptor
from .compiler import GPUTarget

SHARED_MEMORY = 228 * 1024  # what a large GPU offers: sizes that programs derive from it suit caches as well


class DriverBase:
    """What a driver is an instance of."""

    @classmethod
    def is_active(cls) -> bool:
        return True

    def get_current_target(self) -> GPUTarget:
        raise NotImplementedError

    def get_active_torch_device(self) -> Any:
        raise NotImplementedError


class GPUDriver(DriverBase):
    """Kept for code that names it."""

    @classmethod
    def is_active(cls) -> bool:
        return False


def expand_signature(signature: Sequence[Any], tensordesc_meta: Any, descriptor_type: str) -> list[Any]:
    """Refuses: launches here pass descriptors whole, so no signature is ever expanded."""
    raise NotImplementedError("descriptors are passed whole: there is nothing to expand")


def wrap_handle_tensordesc_impl(launcher: Any, signature: Any, tensordesc_meta: Any, make: Any) -> Any:
    """Refuses: as expand_signature."""
    raise NotImplementedError("descriptors are passed whole: there is nothing to expand")


class Event:
    """A moment; on a CPU all work before it is done."""

    def __init__(self, *args: Any, **kwargs: Any):
        self.at = 0.0

    def record(self, *args: Any) -> None:
        self.at = time.perf_counter()

    def elapsed_time(self, later: Event) -> float:
        return (later.at - self.at) * 1e3

    def synchronize(self) -> None:
        pass

    def wait(self, *args: Any) -> None:
        pass

    def query(self) -> bool:
        return True


class DeviceInterface:
    """The part of `torch.cuda` that programs use through a driver."""

    Event = Event

    @staticmethod
    def synchronize(*args: Any) -> None:
        pass

    @staticmethod
    def current_device() -> int:
        return 0

    @staticmethod
    def set_device(*args: Any) -> None:
        pass

    @staticmethod
    def device_count() -> int:
        return 1

    @staticmethod
    def device(*args: Any) -> Any:
        return contextlib.nullcontext()

    @staticmethod
    def current_stream(*args: Any) -> Any:
        return SimpleNamespace(cuda_stream=0, synchronize=lambda: None)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_properties(device: Any = 0) -> dict[str, int]:
    """The figures that programs size their kernels by."""
    return {
        "max_shared_mem": SHARED_MEMORY,
        "max_num_regs": 65536,
        "multiprocessor_count": cores(),
        "warpSize": 32,
        "sm_clock_rate": 2_000_000,
        "mem_clock_rate": 1_600_000,
        "mem_bus_width": 128,
    }


class CPUDriver(DriverBase):
    """This machine."""

    utils = SimpleNamespace(
        get_device_properties=device_properties, load_binary=lambda *args: (None, None, 0, 0, 1024), unload_module=lambda module: None,
        fill_1d_tma_descriptor=fill_1d_tma_descriptor, fill_2d_tma_descriptor=fill_2d_tma_descriptor,
    )  # fmt: skip
    launcher_cls = None

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cpu", platform.machine(), 32)

    def get_current_device(self) -> int:
        return 0

    def set_current_device(self, device: Any) -> None:
        pass

    def get_current_stream(self, device: Any = None) -> int:
        return 0

    def get_active_torch_device(self) -> Any:
        import torch  # programs that ask have it; this package works without

        return torch.device("cpu")

    def get_device_interface(self) -> type[DeviceInterface]:
        return DeviceInterface

    def get_device_capability(self, device: Any = None) -> tuple[int, int]:
        return (0, 0)

    def get_benchmarker(self) -> Callable[..., Any]:
        from ..testing import do_bench  # testing asks the driver, too

        return do_bench

    def get_empty_cache_for_benchmark(self) -> Any:
        import torch

        return torch.empty(1 << 20, dtype=torch.int8)

    def clear_cache(self, cache: Any) -> None:
        cache.zero_()

    def map_python_to_cpp_type(self, kind: str) -> str:
        """The C type that holds an argument of this type."""
        if kind.startswith("*"):
            return "void*"
        floats = {"fp16": "double", "bf16": "double", "fp32": "double", "f32": "double", "fp64": "double"}
        integers = {"u1": "uint8_t", "i1": "int8_t", **{f"i{n}": f"int{n}_t" for n in (8, 16, 32, 64)}}
        return {**floats, **integers, **{f"u{n}": f"uint{n}_t" for n in (8, 16, 32, 64)}}[kind]
