"""Errors of compilation."""

from ..errors import CompilationError, CompileTimeAssertionFailure, UnsupportedLanguageConstruct
