"""Every environment variable of tiledsl: its type, its default, one line of help. Read when asked, not at import."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from .errors import ConfigError
from .record import Record

T = TypeVar("T")

# os.environ keeps variables in a dict, encoded: what is not there is found out much faster by asking that
table: Mapping[Any, str | bytes] = getattr(os.environ, "_data", os.environ)
key_of: Callable[[str], Any] = getattr(os.environ, "encodekey", str) if table is not os.environ else str


class Variable(Record, Generic[T]):
    """One variable; calling it reads the environment."""

    name: str
    read: Callable[[str], T]
    default: T
    help: str
    key: Any  # the name, as the table has it

    def __call__(self) -> T:
        if self.key not in table:
            return self.default
        text = os.environ.get(self.name)
        if text is None or text == "":
            return self.default
        try:
            return self.read(text)
        except ValueError as error:
            raise ConfigError(f"{self.name}={text!r} is not understood: {error}", help=f"{self.name}: {self.help}") from None


VARIABLES: list[Variable[object]] = []


def _variable(name: str, read: Callable[[str], T], default: T, help: str) -> Variable[T]:
    made = Variable(name, read, default, help, key_of(name))
    VARIABLES.append(made)  # type: ignore[arg-type]
    return made


def _flag(text: str) -> bool:
    answers = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}
    if text.lower() not in answers:
        raise ValueError("expected 1 or 0")
    return answers[text.lower()]


Words = tuple[str, ...]


def _words(text: str) -> Words:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _count(text: str) -> int:
    if not text.strip().isdigit():
        raise ValueError("expected a number, 0 or more")
    return int(text)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError("expected a number of seconds, 0 or more")
    return value


backend = _variable("TILEDSL_BACKEND", str, "cpu", "the backend of launches that name none")
show: Variable[Words] = _variable("TILEDSL_SHOW", _words, cast(Words, ()), "print kernels after these passes, comma separated, or `all`")
stop_after = _variable("TILEDSL_STOP_AFTER", str, "", "stop the shared passes after this one")
verify = _variable("TILEDSL_VERIFY", _flag, False, "check the IR between passes")
time_passes = _variable("TILEDSL_TIME", _flag, False, "print how long each pass took")
cache_dir = _variable("TILEDSL_CACHE_DIR", str, "~/.cache/tiledsl", "where compiled kernels are kept")
cache = _variable("TILEDSL_CACHE", _flag, True, "keep compiled kernels on disk")
cache_size = _variable("TILEDSL_CACHE_SIZE", _count, 1024, "MiB of compiled kernels kept on disk, the latest used; 0: all")
num_threads = _variable("TILEDSL_NUM_THREADS", _count, 0, "threads of a CPU launch; 0: one per core this process may use")
cpu = _variable(
    "TILEDSL_CPU", str, "native", "instructions of CPU code: `native`, `avx512`, `avx2`, or `generic`, vectors of 128 bits; read once"
)
wait_limit = _variable(
    "TILEDSL_WAIT_LIMIT", _seconds, 5.0, "seconds after which programs that all wait for each other are an error; 0: wait for ever"
)
npu_check = _variable("TILEDSL_NPU_CHECK", _flag, False, "npu looks for races and for reads of scratchpad that nothing has written")
npu_order = _variable("TILEDSL_NPU_ORDER", _count, 0, "the same, and npu's queues run in an order that this seed chooses; 0: off")
debug = _variable("TILEDSL_DEBUG", _flag, False, "decorated kernels debug: assertions, overflow, and on the CPU every access is checked")
strict_triton = _variable("TILEDSL_STRICT_TRITON", _flag, False, "refuse kernels that Triton would not compile")
notes = _variable("TILEDSL_NOTES", _flag, False, "print what in a kernel goes beyond Triton, when it is compiled")
traceback = _variable("TILEDSL_TRACEBACK", _flag, False, "show tiledsl's own frames, too, in the traceback of a mistake in a kernel")
fuzz = _variable("TILEDSL_FUZZ", _count, 0, "examples of each random test; 0: few, as an ordinary run takes")
sweep_seconds = _variable("TILEDSL_SWEEP_SECONDS", _count, 0, "when a sweep of triton.testing.perf_report stops; 0: after its last point")
