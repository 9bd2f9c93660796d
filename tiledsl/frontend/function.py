"""A function marked `jit`, before anything is known about its arguments: its source, its parameters, what it captures."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

from ..errors import ArgumentError, CompilationError
from ..location import Loc
from ..record import Record
from ..source import lines_of, parse_function
from .captures import Captures, find_captures

MISSING = inspect.Parameter.empty


class Formal(Record):
    """One parameter as declared."""

    name: str
    index: int
    annotation: object = None  # None: none
    default: object = MISSING
    is_constexpr: bool = False
    is_variadic: bool = False  # *args

    @property
    def has_default(self) -> bool:
        return self.default is not MISSING


class JITFunction:
    """A Python function to be compiled, called from a kernel or launched; the file is read when it is declared."""

    is_jit_function = True  # what modules that may not import this one go by

    def __init__(self, fn: Callable[..., Any], *, noinline: bool = False, debug: bool = False):
        if not inspect.isfunction(fn):
            twice = getattr(fn, "is_jit_function", False)
            help = "leave out one of the two decorators" if twice else "put @tiledsl.jit on a `def`, below other decorators"
            raise ArgumentError(f"jit takes a function, got {fn!r}", help=help)
        self.fn = fn
        self.noinline, self.debug = noinline, debug
        self.name = fn.__name__
        self.params = formals(fn)
        self.arg_names = [p.name for p in self.params]
        self.file, self.first_line = fn.__code__.co_filename, fn.__code__.co_firstlineno
        self.lines = lines_of(fn)  # of the whole file
        self.__name__, self.__qualname__, self.__doc__, self.__module__ = fn.__name__, fn.__qualname__, fn.__doc__, fn.__module__
        self.__wrapped__ = fn

    def __call__(self, *args: object, **kwargs: object) -> Any:
        raise RuntimeError(f"`{self.name}` is compiled code: launch it with {self.name}[grid](...), or call it from a kernel")

    def __repr__(self) -> str:
        return f"<jit function {self.__qualname__}>"

    @property
    def loc(self) -> Loc:
        """The `def`."""
        return Loc(self.file, self.tree.lineno, self.tree.col_offset, self.tree.col_offset + len("def"), function=self.name)

    def place(self, parameter: str = "") -> Loc | None:
        """Where a parameter is declared, or the function; None if its source is not available."""
        try:
            declared = self.tree.args
        except (CompilationError, SyntaxError):
            return None
        for arg in (*declared.posonlyargs, *declared.args, *filter(None, [declared.vararg]), *declared.kwonlyargs):
            if arg.arg == parameter:
                return Loc(self.file, arg.lineno, arg.col_offset, arg.end_col_offset or 0, function=self.name)
        return self.loc

    @property
    def source(self) -> str:
        """The text from the first decorator to the end of the body, indented as in the file."""
        return self._parsed[0]

    @property
    def tree(self) -> ast.FunctionDef:
        """The syntax tree; its lines and columns are those of the file."""
        return self._parsed[1]

    @cached_property
    def _parsed(self) -> tuple[str, ast.FunctionDef]:
        return parse_function(self.fn, self.lines)

    def lookup(self, name: str) -> object:
        """What a free name means now: a variable of an enclosing function, a global, or a builtin; KeyError if nothing."""
        code = self.fn.__code__
        if name in code.co_freevars and self.fn.__closure__ is not None:
            try:
                return self.fn.__closure__[code.co_freevars.index(name)].cell_contents
            except ValueError:  # not assigned yet
                raise KeyError(name) from None
        scope = self.fn.__globals__
        return scope[name] if name in scope else vars(builtins)[name]

    def captures(self) -> Captures:
        """Everything outside that the function, and those it calls, read; as it is now."""
        return find_captures(self)

    @property
    def fingerprint(self) -> str:
        """A digest of the source and of all captures: the same text means the same code."""
        return self.captures().digest


def formals(fn: Callable[..., Any]) -> tuple[Formal, ...]:
    """The declared parameters of a function."""
    found = []
    for index, p in enumerate(inspect.signature(fn).parameters.values()):
        if p.kind is p.VAR_KEYWORD:
            raise CompilationError(f"`{fn.__name__}` takes `**{p.name}`", help="name the parameters")
        note = None if p.annotation is p.empty else p.annotation
        found.append(Formal(p.name, index, note, p.default, is_constexpr(note), p.kind is p.VAR_POSITIONAL))
    return tuple(found)


def annotated_constexpr(fn: Callable[..., Any], name: str) -> bool:
    """Whether a global of the function's module is declared as `name: tl.constexpr = ...`."""
    scope = fn.__globals__
    notes = scope.get("__annotations__")
    if notes is None and callable(scope.get("__annotate__")):  # Python 3.14 makes them when asked
        notes = scope["__annotate__"](1)
    return name not in fn.__code__.co_freevars and is_constexpr((notes or {}).get(name))


def is_constexpr(annotation: object) -> bool:
    """Whether an annotation is `tl.constexpr`, as an object or as text."""
    if isinstance(annotation, str):
        return re.search(r"\bconstexpr\b", annotation) is not None
    return getattr(annotation, "__name__", type(annotation).__name__) == "constexpr"
