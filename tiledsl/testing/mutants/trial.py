"""One mutant: made from a seed, compiled, run, and judged. A diagnostic or a result is fine; anything else is a fault."""

from __future__ import annotations

import ast
import contextlib
import copy
import io
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from ... import language as tl
from ...backend import registry
from ...backend.base import Backend, Options, Program
from ...errors import CompilationError, MemoryFault, ParseError, TileError, VerifyError, WaitError
from ...frontend.function import JITFunction
from ...frontend.lower import lower_function
from ...interpreter import interpret
from ...ir.core import Kernel
from ...ir.types import i64
from ...ir.verify import verify
from ...memory import Buffer
from ...messages import empty
from ...passes import pipeline
from ...runtime.specialize import Binder
from ..cases import Case, bind
from ..oracle import Outputs, explain
from .arguments import Arguments, Pointer, Score, buffers, cases_arguments, search
from .mutations import mutate, mutate_tokens
from .pool import Pool
from .sources import Unit, run_text

COMPILING, RUNNING = 10.0, 2.0  # seconds of computing: the first is a promise, the second patience with kernels that loop
PREPARING = 20.0
HOUSE = str(Path(__file__).resolve().parents[2]) + os.sep
STEPS = ("declared", "lowered", "compiled", "ran")
BUGS = (VerifyError, ParseError, AssertionError)
ONE_THREAD = Options(num_threads=1)
FILE = "<mutant>"


class OutOfTime(BaseException):
    """The alarm rang; nothing but the trial catches it."""


@dataclass(frozen=True)
class Outcome:
    """How a mutant ended: `kind` is "refused", "no Python", one of the steps that went well, or "fault"."""

    kind: str
    detail: str = ""  # of a fault: what and where, the same for the same mistake
    report: str = ""  # of a fault: the whole story

    @property
    def is_fault(self) -> bool:
        return self.kind == "fault"


@dataclass(frozen=True)
class Mutant:
    """A unit, a seed, and what came out."""

    unit: Unit
    seed: int
    text: str
    mutations: tuple[str, ...]
    arguments: Arguments

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.unit} seed {self.seed}: {', '.join(self.mutations)}\ncalled with {given}\n{self.text}"


def prepare(unit: Unit, random: Random, tries: int = 60) -> tuple[Arguments, Score]:
    """Arguments for a kernel as it is in its file, and how far it gets with them."""
    text = "\n\n".join(map(ast.unparse, unit.definitions)) + "\n"

    stop = time.process_time() + PREPARING

    def attempt(arguments: Arguments) -> tuple[Score, str]:
        if time.process_time() > stop:
            return (-1, 0), ""
        with alarm(COMPILING), quiet():
            try:
                kernel, bound = lower(unit, text, arguments)
            except TileError as error:
                places = error.loc.chain() if error.loc else ()
                line = places[-1].line if places else 0
                return (1, line), text.splitlines()[line - 1] if line else ""
            except (Exception, OutOfTime):
                return (0, 0), ""
            try:
                with alarm(RUNNING):
                    Launch(kernel, (2, 1, 1), bound).interpreted()
            except (Exception, OutOfTime):
                return (2, 0), ""
            return (3, 0), ""

    return search(unit, attempt, random, tries, enough=2)


def make(unit: Unit, seed: int, arguments: Arguments, most: int = 3) -> Mutant:
    """The mutant of a seed; seed 0 is the kernel as it is."""
    random = Random(f"{unit.kernel} {seed}")
    definitions = [copy.deepcopy(d) for d in unit.definitions]
    done: list[str] = []
    arguments = dict(arguments)
    texts = [ast.unparse(d) for d in definitions]
    if seed:
        pool = Pool.of(unit.definitions)
        functions = [i for i, d in enumerate(definitions) if isinstance(d, ast.FunctionDef)]
        at = functions[-1] if random.random() < 0.6 else random.choice(functions)
        function = definitions[at]
        assert isinstance(function, ast.FunctionDef)
        if random.random() < 0.15:
            changed = mutate_tokens(texts[at], random)
            done += ["token"] if changed else []
            texts[at] = changed or texts[at]
        else:
            for _ in range(random.choice([1, 1, 1, 2, most])):
                done.append(mutate(function, pool, random))
            with contextlib.suppress(ValueError):  # some trees have no text: a tuple inside an f-string
                texts[at] = ast.unparse(function)
        if random.random() < 0.1 and arguments:
            done.append("argument")
            arguments[random.choice(list(arguments))] = random.choice(
                [Pointer("f16"), Pointer("i1"), 1, 0, 2.5, None, True, 16, -1, 1 << 33]
            )
    return Mutant(unit, seed, "\n\n".join(texts) + "\n", tuple(done), arguments)


def lower(unit: Unit, text: str, arguments: Arguments, debug: bool = False) -> tuple[Kernel, list[Any]]:
    """The tile program of a text with these arguments, and what it is launched with."""
    names = dict(unit.names)
    given = buffers(arguments, len(text))
    from_outside = {name: value for name, value in given.items() if not isinstance(value, Buffer)}
    params = {a.arg for a in ast.walk(unit.function.args) if isinstance(a, ast.arg)}
    names.update({name: tl.constexpr(value) for name, value in from_outside.items() if name not in params})
    run_text(text, FILE, names)
    function = names.get(unit.kernel)
    if not isinstance(function, JITFunction):
        raise NoKernel
    values = [given.get(p.name, p.default if p.has_default else 16) for p in function.params if not p.is_variadic]
    binder = Binder(function)
    values, _ = binder.bind(values, {})
    bound: list[Any] = []
    key = binder.key(values, bound)
    kernel = lower_function(function, binder.signature(values, key, debug))
    if kernel.messages:
        words = empty()
        bound.append(Buffer(words.ctypes.data, words.nbytes, i64, True, words, "messages"))
    return kernel, bound


class NoKernel(Exception):
    """The mutant no longer defines the kernel."""


class Launch:
    """One launch that can be repeated: every run sees the same arrays, at the same addresses, which a kernel may store."""

    def __init__(self, kernel: Kernel, grid: tuple[int, int, int], bound: list[Any]):
        self.case = Case(kernel, grid, cases_arguments(bound))
        self.bound, self.arrays = bind(self.case)
        self.before = [array.copy() for array in self.arrays]

    def run(self, how: Callable[..., object]) -> Outputs:
        """What the arrays hold after `how(grid, arguments)`."""
        for array, before in zip(self.arrays, self.before, strict=True):
            array[:] = before
        how(self.case.grid, self.bound)
        return [array.copy() for array in self.arrays]

    def interpreted(self) -> Outputs:
        return self.run(lambda grid, bound: interpret(self.case.kernel, grid, bound))

    def native(self, target: Backend, program: Program) -> Outputs:
        return self.run(lambda grid, bound: target.launch(program, grid, bound, ONE_THREAD))


def attempt(mutant: Mutant, backends: Sequence[str] = ("cpu",), run: bool = True) -> Outcome:
    """Compile a mutant for every backend and run what is safe to run."""
    random = Random(mutant.seed)
    debug = random.random() < 0.1
    grid = (random.choice([1, 2, 3]), random.choice([1, 1, 2]), 1)
    step = 0
    try:
        with alarm(COMPILING), quiet():
            kernel, bound = lower(mutant.unit, mutant.text, mutant.arguments, debug)
            step = 1
            verify(kernel)
            for backend in backends:
                target = registry.find(backend)
                lowered = pipeline.run(kernel, target.passes, target.machine, options=ONE_THREAD, verify=True)
                program = target.compile(lowered, ONE_THREAD)
                step = 2
    except OutOfTime:
        return _fault("hang", f"{STEPS[step]}, then over {COMPILING:g} s", traceback.format_exc(), mutant)
    except BUGS as error:
        return _fault(type(error).__name__, _place(error), traceback.format_exc(), mutant)
    except TileError as error:
        if isinstance(error, CompilationError) and not _points(error, mutant):
            return _fault("diagnostic without the user's line", str(error).splitlines()[0], traceback.format_exc(), mutant)
        return Outcome("refused", _clumsy(error))
    except NoKernel:
        return Outcome("no Python")
    except Exception as error:
        if _is_users_own(error):
            return Outcome("no Python")
        return _fault(type(error).__name__, _place(error), traceback.format_exc(), mutant)
    if not run:
        return Outcome(STEPS[2])
    return _ran(mutant, Launch(lowered, grid, bound), target, program)


def _ran(mutant: Mutant, launch: Launch, target: Backend, program: Program) -> Outcome:
    """By the interpreter, and then natively if that ended and touched no memory but its own."""
    try:
        with alarm(RUNNING), quiet():
            expected = launch.interpreted()
    except (OutOfTime, MemoryFault, WaitError, MemoryError):
        return Outcome(STEPS[2])
    except Exception as error:
        return _fault(f"interpreter: {type(error).__name__}", _place(error), traceback.format_exc(), mutant)
    with alarm(COMPILING), quiet():
        try:
            found = launch.native(target, program)
        except OutOfTime:
            return _fault("hang", "running natively", traceback.format_exc(), mutant)
        except Exception as error:
            return _fault(f"{target.name}: {type(error).__name__}", _place(error), traceback.format_exc(), mutant)
    difference = explain(launch.case, expected, found, "interpreter", target.name)
    if difference:
        return _fault("wrong bits", f"on {target.name}", f"{difference}\n{launch.case.kernel}", mutant)
    return Outcome(STEPS[3])


# --- judging


def _fault(what: str, where: str, story: str, mutant: Mutant) -> Outcome:
    return Outcome("fault", f"{what}: {where}", f"{story}\n{mutant}")


def _points(error: TileError, mutant: Mutant) -> bool:
    """Whether a diagnostic names a line of the mutant, or of a function that its file imports."""
    return error.loc is not None and any(place.file.startswith("<") for place in error.loc.chain())


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    return list(traceback.extract_tb(error.__traceback__))


def _place(error: BaseException) -> str:
    """The innermost frame of the compiler, and what was said."""
    inside = [f for f in _frames(error) if f.filename.startswith(HOUSE) or "backends" in f.filename]
    last = inside[-1] if inside else _frames(error)[-1]
    return f"{Path(last.filename).name}:{last.name}: {str(error).splitlines()[0] if str(error) else ''}"


def _is_users_own(error: Exception) -> bool:
    """Raised by the text itself while Python runs it: a default value or an annotation that means nothing."""
    return isinstance(error, SyntaxError) or _frames(error)[-1].filename == FILE


def _clumsy(error: TileError) -> str:
    """Where a Python exception became a diagnostic without having been meant as one."""
    cause = error.__cause__
    if cause is None or not isinstance(cause, AttributeError | TypeError | IndexError | KeyError):
        return ""
    last = _frames(cause)[-1]
    return (
        f"{Path(last.filename).name}:{last.name}: {error.message}"
        if last.filename.startswith(HOUSE) and last.line and "raise" not in last.line
        else ""
    )


# --- surroundings


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """OutOfTime after some seconds of this process's own time; an outer alarm goes on afterwards."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGPROF, ring)
    outer = signal.setitimer(signal.ITIMER_PROF, seconds)[0]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, outer)
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What kernels print and warn of is not shown."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
