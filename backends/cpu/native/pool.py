"""The native pool: pool.ll's threads and the memory that they share. Linux only, for its futex."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from functools import cache

from tiledsl.forks import lock

from .kept import native
from .load import Unloadable, address_of

FUTEX = {"x86_64": 202, "aarch64": 98}  # the number of the call, by the machine that uname tells
FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL} if os.name == "posix" else set()  # of the thread itself
SPREAD = ctypes.CFUNCTYPE(
    ctypes.c_int32,
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64),
    *(ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
)
INTERRUPTED = 2  # what it returns
RESTORE = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class _Shared(ctypes.Structure):
    """As pool.ll reads it, whatever is Python's to write; a line of the cache for what others write often."""

    _fields_ = [
        ("generation", ctypes.c_int32 * 16),
        ("active", ctypes.c_int32 * 16),
        ("next", ctypes.c_int64 * 8),
        ("region", ctypes.c_int64 * 8),
        ("lock", ctypes.c_int32 * 4),
        ("workers", ctypes.c_int64),
        ("worth", ctypes.c_int64),
        ("futex", ctypes.c_int64),
        ("away", ctypes.c_int64),
        ("present", ctypes.c_int64),
        ("padding", ctypes.c_int64),
        ("threads", ctypes.c_int64 * 64),
    ]


class NativePool:
    """Threads in native code. They may outlive the interpreter, so nothing that they use is ever freed."""

    def __init__(self) -> None:
        self._code = native("pool")
        self.spread = self._code.address("spread")
        self._call = SPREAD(self.spread)
        self._memory = ctypes.create_string_buffer(ctypes.sizeof(_Shared) + 64)
        self.address = -(-ctypes.addressof(self._memory) // 64) * 64
        self._shared = _Shared.from_address(self.address)
        self._shared.futex = FUTEX[os.uname().machine]
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))

    def begin(self) -> None:
        """Without threads, in a child process: nobody else is here, whatever the parent's threads were doing."""
        futex = self._shared.futex
        ctypes.memset(self.address, 0, ctypes.sizeof(_Shared))
        self._shared.futex = futex

    def run(self, run: object, args: int, total: int, threads: int, scratch: int, arena: int, waking: float) -> None:
        """Run a grid on so many threads; helpers who sleep are woken for so many seconds of work."""
        self._shared.worth = int(waking * 1e9)
        self._ask_for(min(threads, total) - 1)
        pace, caught = ctypes.c_int64(), (ctypes.c_void_p * 3)()
        more = ctypes.addressof(pace), ctypes.addressof(caught)
        found = self._call(self.address, ctypes.cast(run, ctypes.c_void_p), args, total, threads, scratch, arena, *more)  # type: ignore[arg-type]
        if found == INTERRUPTED:
            RESTORE(("PyErr_Restore", ctypes.pythonapi))(*caught)  # raises what a signal's handler raised

    def _ask_for(self, helpers: int) -> None:
        if self._shared.workers >= helpers:
            return
        with lock:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
            try:  # a handler may raise as soon as they are blocked
                # inherited: signals from outside are for Python's threads
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - FAULTS)
                while self._shared.workers < helpers:
                    self._shared.workers += 1  # also where there are no more threads: then there is less help
                    self._start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _start(self) -> None:
        made, libc = ctypes.c_ulong(), ctypes.CDLL(None)
        serve = ctypes.c_void_p(self._code.address("serve"))
        if not libc.pthread_create(ctypes.byref(made), None, serve, ctypes.c_void_p(self.address)):
            libc.pthread_detach(made)


@cache
def native_pool() -> NativePool | None:
    """This process's pool; None where there cannot be one."""
    if not sys.platform.startswith("linux") or os.uname().machine not in FUTEX:
        return None
    with lock:
        try:
            address_of("pthread_create")
            made = NativePool()
        except Unloadable:
            return None
        os.register_at_fork(after_in_child=made.begin)
        return made
