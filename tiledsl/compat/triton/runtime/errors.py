"""Errors of running kernels."""

from ..errors import AutotunerError, InterpreterError, OutOfResources, PTXASError, TritonError
