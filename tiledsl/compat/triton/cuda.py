"""Answers about "cuda" for a machine without one: tensors made there are made on the CPU, questions have sensible answers."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Sequence
from typing import Any

from . import callbacks
from .backends.compiler import GPUTarget
from .backends.driver import CPUDriver, Event, cores
from .runtime.driver import driver

CAPABILITY = (8, 0)  # no newer: programs would then want what only newer GPUs have
PROPERTIES = types.SimpleNamespace(
    name="cpu", major=CAPABILITY[0], minor=CAPABILITY[1], multi_processor_count=cores(), total_memory=1 << 34, warp_size=32, gcnArchName="",
    shared_memory_per_block=48 << 10, shared_memory_per_block_optin=228 << 10, max_threads_per_multi_processor=2048,
    regs_per_multiprocessor=65536, L2_cache_size=1 << 22,
)  # fmt: skip

# of torch: functions that sum half precision in fp32 on a GPU
IN_SINGLE = {"layer_norm", "group_norm", "rms_norm", "log_softmax", "cross_entropy"}
# and products, whose sums are of fp32 here, too, but which torch computes of fp16 at a hundredth of the speed of fp32
PRODUCTS = {"matmul", "__matmul__", "mm", "bmm", "addmm", "baddbmm", "linear", "einsum", "scaled_dot_product_attention"}


class Stream:
    """A stream; work on a CPU is done when the call returns."""

    cuda_stream = stream_id = 0

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def synchronize(self) -> None:
        pass

    def wait_stream(self, stream: Any) -> None:
        pass

    def wait_event(self, event: Any) -> None:
        pass

    def record_event(self, event: Any = None) -> Any:
        event = event or Event()
        event.record()
        return event


class Device(contextlib.nullcontext):
    """`with torch.cuda.device(...)`."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()
        self.idx = 0


class Generator:
    """The generator of a GPU: its state holds a seed and an offset, 8 bytes each."""

    def __init__(self) -> None:
        self._state = [0, 0]

    def get_state(self) -> Any:
        import torch

        return torch.tensor(self._state, dtype=torch.int64).view(torch.uint8)

    def set_state(self, state: Any) -> None:
        import torch

        self._state = state.view(torch.int64).tolist()

    def manual_seed(self, seed: int) -> Generator:
        self._state = [seed, 0]
        return self

    def initial_seed(self) -> int:
        return self._state[0]


class GPUNamedDriver(CPUDriver):
    """This machine, under the name that programs written for GPUs ask for."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 10 * CAPABILITY[0] + CAPABILITY[1], 32)

    def get_device_capability(self, device: Any = None) -> tuple[int, int]:
        return CAPABILITY


_installed: list[Any] = []


def install() -> None:
    """Answer from now on; nothing changes where there is a GPU."""
    import torch

    if _installed or torch.cuda.is_available():
        return
    from torch.overrides import TorchFunctionMode
    from torch.utils._device import DeviceContext

    def is_gpu(device: Any) -> bool:
        if isinstance(device, str):
            return device.split(":")[0] in ("cuda", "xpu", "hip")
        if isinstance(device, int):
            return not isinstance(device, bool)
        return isinstance(device, torch.device) and device.type in ("cuda", "xpu", "hip")

    HALF = (torch.float16, torch.bfloat16)

    def single(value: Any) -> Any:
        return value.float() if isinstance(value, torch.Tensor) and value.dtype in HALF else value

    def in_single(name: str, given: Sequence[Any]) -> torch.dtype | None:
        """The half precision of what a function is given, if it is to compute in fp32."""
        types = [a.dtype for a in given if isinstance(a, torch.Tensor) and a.is_floating_point()]
        if name in PRODUCTS:  # of two types they are an error
            return torch.float16 if set(types) == {torch.float16} else None
        told = any(isinstance(a, torch.dtype) for a in given)  # which type to compute in
        return next((t for t in types if t in HALF), None) if name in IN_SINGLE and not told else None

    class OnTheCPU(TorchFunctionMode):
        def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if getattr(func, "__self__", None) is torch.Tensor.is_cuda:
                return True  # wrappers of kernels ask before they launch
            if "device" in kwargs and is_gpu(kwargs["device"]):
                kwargs = {**kwargs, "device": "cpu"}
            name = getattr(func, "__name__", "")
            if name == "get_device":
                return 0
            if name in IN_SINGLE or name in PRODUCTS:
                half = in_single(name, (*args, *kwargs.values()))
                if half is not None:
                    out = kwargs.get("out")
                    wide = {k: single(a) for k, a in kwargs.items() if k != "out"}
                    found = func(*map(single, args), **wide).to(half)
                    return found if out is None else out.resize_(found.shape).copy_(found)
            if name in ("cuda", "pin_memory") and args and isinstance(args[0], torch.Tensor):
                return args[0]
            if name == "to" and len(args) > 1 and isinstance(args[1], (str, torch.device)) and is_gpu(args[1]):
                args = (args[0], "cpu", *args[2:])
            return func(*args, **kwargs)

    generator = Generator()
    mode = OnTheCPU()
    mode.__enter__()
    _installed.append(mode)
    driver.set_active(GPUNamedDriver())
    answers = {
        "is_available": lambda: True, "is_initialized": lambda: True, "init": lambda: None,  # tests are skipped without
        "synchronize": lambda *a, **k: None, "current_device": lambda: 0, "set_device": lambda *a, **k: None, "device_count": lambda: 1,
        "empty_cache": lambda: None, "get_device_capability": lambda *a, **k: CAPABILITY,
        "get_device_name": lambda *a, **k: "cpu",
        "get_device_properties": lambda *a, **k: PROPERTIES, "current_stream": lambda *a, **k: Stream(), "Stream": Stream, "Event": Event,
        "device": Device, "device_of": Device, "_DeviceGuard": Device, "_exchange_device": lambda *a: 0,
        "_maybe_exchange_device": lambda *a: 0,  "stream": lambda *a, **k: contextlib.nullcontext(),
        "is_bf16_supported": lambda *a, **k: True,
        "memory_allocated": lambda *a, **k: 0, "max_memory_allocated": lambda *a, **k: 0, "reset_peak_memory_stats": lambda *a, **k: None,
        "memory_reserved": lambda *a, **k: 0, "max_memory_reserved": lambda *a, **k: 0, "memory_stats": lambda *a, **k: {},
        "mem_get_info": lambda *a, **k: (PROPERTIES.total_memory, PROPERTIES.total_memory), "ipc_collect": lambda: None,
        "is_current_stream_capturing": lambda: False, "default_stream": lambda *a, **k: Stream(),
        "set_stream": lambda *a, **k: None,
        "manual_seed": generator.manual_seed, "manual_seed_all": generator.manual_seed, "default_generators": (generator,),
        "get_rng_state": lambda *a, **k: generator.get_state(), "set_rng_state": lambda state, *a, **k: generator.set_state(state),
    }  # fmt: skip
    for name, answer in answers.items():
        setattr(torch.cuda, name, answer)
        if not hasattr(torch.cpu, name):  # programs ask the device that the driver names, too
            setattr(torch.cpu, name, answer)
    torch.Tensor.record_stream = lambda self, stream: None  # type: ignore[assignment, method-assign]
    _cast_here(torch.autocast)
    _make_here(DeviceContext, is_gpu)
    callbacks.install(OnTheCPU)
    # code that torch.compile has written goes below torch.cuda
    torch._C._cuda_getCurrentRawStream = lambda device: 0
    guards: Any = torch._C._dynamo.guards
    guards._empty_strided_cuda = guards._empty_strided_cpu


def _make_here(context: Any, is_gpu: Callable[[Any], bool]) -> None:
    """`with torch.device("cuda")` and `torch.set_default_device("cuda")` make tensors on the CPU."""
    begin = context.__init__

    def init(self: Any, device: Any) -> None:
        begin(self, "cpu" if is_gpu(device) else device)

    context.__init__ = init


def _cast_here(autocast: Any) -> None:
    """`with torch.autocast("cuda")` casts for tensors on the CPU."""
    enter, leave = autocast.__enter__, autocast.__exit__

    def begin(self: Any) -> Any:
        if self.device == "cuda":
            self.here = autocast("cpu", self.fast_dtype, self._enabled, self._cache_enabled)
            enter(self.here)
        return enter(self)

    def end(self: Any, *error: Any) -> Any:
        found = leave(self, *error)
        if self.device == "cuda":
            leave(self.here, *error)
        return found

    autocast.__enter__, autocast.__exit__ = begin, end
