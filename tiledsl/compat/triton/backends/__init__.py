"""Which targets there are."""

from types import SimpleNamespace

from .compiler import BaseBackend, CPUBackend, GPUTarget
from .driver import CPUDriver, DriverBase

backends = {"cpu": SimpleNamespace(compiler=CPUBackend, driver=CPUDriver)}
