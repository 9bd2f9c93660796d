"""What goes beyond Triton: noted with its line, or refused where TILEDSL_STRICT_TRITON asks for kernels that run on both."""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import CompilationError, Diagnostic, TypeRuleError
from .location import Loc

LARGEST = 1 << 20  # elements of a tile of Triton
STRICT = "accepted without TILEDSL_STRICT_TRITON"


@dataclass(repr=False, eq=False)
class Beyond:
    """What one kernel uses that Triton does not have; in strict mode the first such thing is an error."""

    strict: bool = False
    found: dict[tuple[object, ...], Diagnostic] = field(default_factory=dict)  # once per line, however often it is inlined

    def add(self, refusal: str, loc: Loc | None, help: str, error: type[CompilationError] = TypeRuleError) -> None:
        """Note at a place what Triton refuses, in the words of an error, and what to type instead."""
        if self.strict:
            raise error(refusal, loc, notes=[STRICT], help=help)
        line = (loc.file, loc.line) if loc else ()
        self.found.setdefault((*line, refusal), Diagnostic(refusal, loc, help=help, kind="beyond Triton"))

    def add_large(self, elements: int, loc: Loc | None) -> None:
        """Note a tile of more elements than Triton allows."""
        refusal = f"numel ({elements}) exceeds triton maximum tensor numel ({LARGEST})"
        self.add(refusal, loc, "take smaller blocks and more programs, or a loop over the rest")

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """Everything found, in the order of the kernel."""
        return tuple(self.found.values())
