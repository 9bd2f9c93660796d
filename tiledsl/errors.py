"""What goes wrong, told one way: what is the matter, the user's line with a caret, notes, and something to try."""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from typing import Any

from .location import Loc
from .record import Record

MOST_CALLERS = 6  # calls that led to a place that a message shows; of more, the first and the last


class TileError(Exception):
    """Everything tiledsl raises on purpose; `diagnostic` says it in full."""

    def __init__(self, message: str, loc: Loc | None = None, *, label: str = "", notes: Sequence[str] = (), help: str = ""):
        self.diagnostic = Diagnostic(message, loc, label, tuple(notes), help)
        super().__init__(str(self.diagnostic))

    @property
    def message(self) -> str:
        return self.diagnostic.message

    @property
    def loc(self) -> Loc | None:
        return self.diagnostic.loc

    def at(self, loc: Loc | None) -> TileError:
        """The same error with a place, if it has none yet."""
        if self.diagnostic.loc is None and loc is not None:
            self.diagnostic = self.diagnostic.but(loc=loc)
            self.args = (str(self.diagnostic),)
        return self

    def advise(self, help: str) -> TileError:
        """The same error with something to try, if it names nothing yet."""
        if not self.diagnostic.help:
            self.diagnostic = self.diagnostic.but(help=help)
            self.args = (str(self.diagnostic),)
        return self

    def note(self, words: str) -> TileError:
        """The same error with one more note."""
        self.diagnostic = self.diagnostic.but(notes=(*self.diagnostic.notes, words))
        self.args = (str(self.diagnostic),)
        return self

    def __str__(self) -> str:
        return str(self.diagnostic)

    def __reduce__(self) -> tuple[object, ...]:
        d = self.diagnostic
        return (_revive, (type(self), d))


def _revive(kind: type[TileError], diagnostic: Diagnostic) -> TileError:
    d = diagnostic
    return kind(d.message, d.loc, label=d.label, notes=d.notes, help=d.help)


class CompilationError(TileError):
    """The kernel cannot be compiled as written."""


class UnsupportedSyntax(CompilationError):
    """Python that a kernel cannot contain."""


class TypeRuleError(CompilationError):
    """A typing rule rejected its operands."""


class StaticAssertionError(CompilationError):
    """A `static_assert` in the kernel does not hold."""


class AssertionFailed(TileError, RuntimeError):
    """A `device_assert` of a running kernel did not hold."""


class Unsupported(CompilationError):
    """The chosen backend has no way to run an op."""


class LaunchError(TileError):
    """The arguments, the grid or the options of a launch do not fit the kernel."""


class ArgumentError(LaunchError, TypeError):
    """An argument is missing, or of a type that no kernel takes."""


class ArgumentOverflow(ArgumentError, OverflowError):
    """An integer argument does not fit 64 bits."""


class UnknownArgument(LaunchError, KeyError):
    """A keyword that is neither a parameter of the kernel nor an option of the launch."""


class ConflictingArguments(LaunchError, ValueError):
    """An argument that the autotuner or a heuristic decides."""


class AutotunerError(TileError):
    """There is nothing to choose from."""


class ConfigError(TileError, ValueError):
    """An environment variable has a value that cannot be meant."""


class MemoryFault(TileError):
    """A kernel read or wrote where it may not: out of bounds, never written, or read-only."""

    access: tuple[Any, Any, Any, Any, Any] | None = None  # of one out of bounds: what `memory.outside` takes behind the regions


class WaitError(TileError, TimeoutError):
    """A program waits for what no other program will do."""


class ParseError(TileError):
    """The textual form of a kernel is not well formed."""


class VerifyError(TileError):
    """A kernel breaks a rule of the tile IR; a pass or a frontend made a mistake."""


class Diagnostic(Record):
    """One message: a sentence, the place it speaks of, a few words under the caret, notes, and a help."""

    message: str
    loc: Loc | None = None
    label: str = ""
    notes: tuple[str, ...] = ()
    help: str = ""
    kind: str = "error"

    def __str__(self) -> str:
        lines = [self.message if self.loc is None else f"{self.kind}: {self.message}"]
        if self.loc is not None:
            lines += _excerpt(self.loc, self.label)
            callers = self.loc.chain()[1:]
            shown = callers if len(callers) <= MOST_CALLERS else (*callers[: MOST_CALLERS - 2], None, callers[-1])
            for caller in shown:
                if caller is None:
                    lines.append(f"note: ... {len(callers) - MOST_CALLERS + 1} more calls")
                else:
                    lines.append(f"note: called from {caller}")
                    lines += _excerpt(caller, "")[1:]
        lines += [f"note: {note}" for note in self.notes]
        if self.help:
            lines.append(f"help: {self.help}")
        return "\n".join(lines)


def _excerpt(loc: Loc, label: str) -> list[str]:
    """The line a place is on, with a caret under its columns."""
    text = linecache.getline(loc.file, loc.line).rstrip("\n")
    head = [f"  --> {loc}"]
    if not text:
        return head
    gutter = f"{loc.line:4} | "
    # columns are UTF-8 offsets (as the ast module gives them); the caret is placed in characters
    raw = text.encode()
    start = len(raw[: loc.column].decode(errors="replace"))
    stop = len(raw[: loc.end_column].decode(errors="replace")) if loc.end_column else start + 1
    width = max(1, min(stop, len(text)) - start)
    pad = "".join("\t" if c == "\t" else " " for c in text[:start])
    mark = f"     | {pad}{'^' * width} {label}".rstrip()
    return [*head, gutter + text, mark]


def require(condition: bool, message: str, *, help: str = "") -> None:
    """Reject operands in a typing rule, with one plain sentence."""
    if not condition:
        raise TypeRuleError(message, help=help)


def nearest(name: str, choices: Sequence[str]) -> str:
    """A help that names the closest of the choices, or the empty string."""
    from difflib import get_close_matches  # a tenth of `import tiledsl`, for those who mistype

    close = get_close_matches(name, choices, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else ""
