"""Which machine a kernel is compiled for, asked while compiling."""

from ....language.functions import constexpr_function


@constexpr_function
def current_target():  # type: ignore[no-untyped-def]
    """The target."""
    from ..runtime.driver import driver

    return driver.active.get_current_target()


@constexpr_function
def is_cuda():  # type: ignore[no-untyped-def]
    return False


@constexpr_function
def is_hip():  # type: ignore[no-untyped-def]
    return False


@constexpr_function
def is_hip_cdna3():  # type: ignore[no-untyped-def]
    return False


@constexpr_function
def is_hip_cdna4():  # type: ignore[no-untyped-def]
    return False


@constexpr_function
def cuda_capability_geq(major, minor=0):  # type: ignore[no-untyped-def]
    return False
