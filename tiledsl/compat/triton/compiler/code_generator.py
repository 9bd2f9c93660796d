"""Kept for code that names it; the frontend is in tiledsl.frontend."""

from ..language.core import Value


def flatten_values_to_ir(values):  # type: ignore[no-untyped-def]
    """The tiles inside values, in order."""
    from ....frontend.carry import flatten

    return [leaf for value in values for leaf in flatten(value)]


__all__ = ["Value", "flatten_values_to_ir"]
