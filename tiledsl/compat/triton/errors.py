"""Triton's error classes: ours, and the forms in which Triton's callers expect them."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from ...errors import AutotunerError, StaticAssertionError, TileError, UnsupportedSyntax
from ...errors import CompilationError as OurCompilationError
from ...location import Loc

TritonError = TileError
LINES_SHOWN = 12


class CompilationError(OurCompilationError):
    """A kernel cannot be compiled; `src`, `node` and `error_message` say where and why. Lines count from the function's
    first; `place` is the one in the file, where it is known."""

    place: Loc | None = None

    def __init__(self, src: str | None, node: Any, error_message: str | None = None):
        super().__init__(error_message or "")
        self.src, self.node, self.error_message = src, node, error_message
        self.args = (str(self),)

    @property
    def message(self) -> str:
        return str(self)

    def __str__(self) -> str:
        line, column = getattr(self.node, "lineno", None), getattr(self.node, "col_offset", 0)
        if self.src is None:
            shown = " <source unavailable>"
        elif line is None:
            shown = self.src
        else:
            shown = "\n".join([*self.src.split("\n")[:line][-LINES_SHOWN:], " " * column + "^"])
        place = "" if line is None else f"at {line}:{column}:\n"
        file = "" if self.place is None else f"\n  --> {self.place}"
        return f"{place}{shown}{file}" + (f"\n{self.error_message}" if self.error_message else "")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.src, self.node, self.error_message), {"place": self.place}


class CompileTimeAssertionFailure(CompilationError, StaticAssertionError):
    """A `static_assert` does not hold."""


class UnsupportedLanguageConstruct(CompilationError, UnsupportedSyntax):
    """Python that a kernel cannot contain."""


class InterpreterError(TileError):
    """Kept for code that names it; kernels are compiled here, also for the interpreter."""

    def __init__(self, error_message: str | None = None):
        super().__init__(error_message or "")
        self.error_message = error_message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.error_message,)


class OutOfResources(TileError):
    """A kernel needs more of something than the machine has."""

    def __init__(self, required: int, limit: int, name: str):
        super().__init__(
            f"out of resource: {name}, Required: {required}, Hardware limit: {limit}. Reducing block sizes or `num_stages` may help."
        )
        self.required, self.limit, self.name = required, limit, name

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.required, self.limit, self.name)


class PTXASError(TileError):
    """Kept for code that names it; there is no PTX here."""

    def __init__(self, error_message: str | None = None):
        super().__init__(f"PTXAS error: {error_message or ''}")
        self.error_message = error_message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.error_message,)


def translated(error: TileError, source_of: dict[tuple[str, str], tuple[str, int, int]]) -> TileError:
    """An error of compilation in Triton's form: an error per level of the calls, the callee's as cause of the caller's.

    `source_of` gives for (file, function) the text shown, its first line, and how far it is indented."""
    if not isinstance(error, OurCompilationError) or isinstance(error, CompilationError) or error.loc is None:
        return error
    d = error.diagnostic
    kind = _kind(error)
    text = "\n".join([d.message, *(f"note: {note}" for note in d.notes), *([f"help: {d.help}"] if d.help else [])])
    cause: BaseException | None = error.__cause__ or (None if not getattr(error, "from_builtin", False) else bare(error))
    for loc in error.loc.chain():
        made = _at(kind, loc, text, source_of)
        made.__cause__ = cause
        cause, text, kind = made, d.message if kind is CompileTimeAssertionFailure else "", kind
    assert isinstance(cause, TileError)
    return cause


def bare(error: TileError) -> BaseException:
    """The sentence alone, with the traceback of the error."""
    return ValueError(error.message).with_traceback(error.__traceback__)


def _kind(error: TileError) -> type[CompilationError]:
    if isinstance(error, StaticAssertionError):
        return CompileTimeAssertionFailure
    return UnsupportedLanguageConstruct if isinstance(error, UnsupportedSyntax) else CompilationError


def _at(kind: type[CompilationError], loc: Loc, text: str, source_of: dict[tuple[str, str], tuple[str, int, int]]) -> CompilationError:
    found = source_of.get((loc.file, loc.function))
    node = ast.Pass()
    if found is None:
        node.lineno, node.col_offset = loc.line, loc.column
        made = kind(None, node, text)
    else:
        source, first, indent = found
        node.lineno, node.col_offset = loc.line - first + 1, max(0, loc.column - indent)
        made = kind(source, node, text)
    made.place = replace(loc, called_from=None)
    made.args = (str(made),)
    return made


__all__ = [
    "AutotunerError", "CompilationError", "CompileTimeAssertionFailure", "InterpreterError", "OutOfResources", "PTXASError",
    "TritonError", "UnsupportedLanguageConstruct", "translated",
]  # fmt: skip
