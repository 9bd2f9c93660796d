"""Compiling without launching: what `triton.compiler` offers."""

from . import errors
from .compiler import ASTSource, CompiledKernel, IRSource, LazyDict, compile, get_cache_key, make_backend, max_shared_mem
from .errors import CompilationError
