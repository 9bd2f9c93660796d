"""From Python functions to tile programs."""

from .function import JITFunction
from .lower import lower_function
from .signature import Parameter, Signature

__all__ = ["JITFunction", "Parameter", "Signature", "lower_function"]
