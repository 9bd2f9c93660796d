"""LLVM: text to an object file, an object file to a function in this process."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from tiledsl.forks import lock as _lock  # LLVM's context is not for several threads

from .lower import ENTRY
from .machine import HostMachine

RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)


@cache
def _llvm() -> Any:
    """llvmlite's binding, imported by the first kernel: it takes longer than compiling one."""
    with _lock:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        return llvm


@cache
def host() -> HostMachine:
    """The machine this process runs on."""
    llvm = _llvm()
    with _lock:
        cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features()
    wide = all(features.get(name, False) for name in ("avx512vl", "avx512dq", "avx512bw"))
    return HostMachine(
        name=f"cpu-{cpu}",
        vector_bytes=64 if wide else 32,
        cpu=cpu,
        features=features.flatten(),
        rows=8 if wide else 6,
        unroll=2 if wide else 4,
    )


@cache
def _target_machine(cpu: str, features: str) -> Any:
    return _llvm().Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic", codemodel="small")


def compiled(text: str, machine: HostMachine) -> bytes:
    """An object file. No mid-level passes: the text is already what they would make of it."""
    llvm = _llvm()
    with _lock:
        target = _target_machine(machine.cpu, machine.features)
        module = llvm.parse_assembly(text)
        module.triple, module.data_layout = llvm.get_process_triple(), str(target.target_data)
        binary = target.emit_object(module)
        module.close()  # here, not when the variable goes: that is LLVM's work, too
        return binary


def assembly(text: str, machine: HostMachine) -> str:
    """What the object file says, for people."""
    with _lock:
        return _target_machine(machine.cpu, machine.features).emit_assembly(_llvm().parse_assembly(text))


class Loaded:
    """Native code of one program, alive as long as this object."""

    def __init__(self, binary: bytes):
        llvm = _llvm()
        with _lock:
            self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), llvm.Target.from_default_triple().create_target_machine())
            self.engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(binary))
            self.engine.finalize_object()
            self.address = self.engine.get_function_address(ENTRY)
        self.run = RUN(self.address)
