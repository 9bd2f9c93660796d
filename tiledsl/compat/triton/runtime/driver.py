"""The object that programs ask about the machine: `triton.runtime.driver.active`."""

from __future__ import annotations

from ..backends.driver import CPUDriver, DriverBase


class DriverConfig:
    """The driver in use; made when first asked for."""

    def __init__(self) -> None:
        self._default: DriverBase | None = None
        self._active: DriverBase | None = None

    @property
    def default(self) -> DriverBase:
        if self._default is None:
            self._default = CPUDriver()
        return self._default

    @property
    def active(self) -> DriverBase:
        if self._active is None:
            self._active = self.default
        return self._active

    def set_active(self, driver: DriverBase) -> None:
        self._active = driver

    def reset_active(self) -> None:
        self._active = self.default

    def set_active_to_cpu(self) -> None:
        self._active = CPUDriver()

    def get_active_gpus(self) -> list[str]:
        return []


driver = DriverConfig()
