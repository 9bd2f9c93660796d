"""Running kernels: what `triton.runtime` offers."""

from . import errors, jit
from .autotuner import Autotuner, Config, Heuristics, autotune, heuristics
from .cache import RedisRemoteCacheBackend, RemoteCacheBackend
from .driver import driver
from .errors import InterpreterError, OutOfResources
from .jit import JITFunction, KernelInterface
from .tensors import MockTensor, TensorWrapper, reinterpret
