"""`python -m tiledsl`: the manual of the ops, the environment variables, instruction sets, kernels shown and timed, backends checked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from . import config, manual
from .backend import registry
from .bench import table
from .compat.triton import alias
from .compat.triton import run as script
from .errors import TileError
from .ir.parser import parse
from .ir.spec import SPECS
from .ir.verify import verify
from .machine import Machine
from .passes import SHARED, pipeline
from .testing.mutants import runner


def show_ops(arguments: Sequence[str]) -> int:
    """ops [names...]: what every op takes, does and gives, or those named."""
    unknown = [name for name in arguments if name not in SPECS]
    for name in unknown:
        print(f"there is no op `{name}`", file=sys.stderr)
    for spec in SPECS.values():
        if not arguments or spec.name in arguments:
            print(f"{manual.op_entry(spec)}\n")
    return 1 if unknown else 0


def write_docs(arguments: Sequence[str]) -> int:
    """docs [folder]: write the pages of the reference, to where the package keeps them if no folder is named."""
    for page in manual.write(*map(Path, arguments[:1])):
        print(page)
    return 0


def show_config(arguments: Sequence[str]) -> int:
    """config: every environment variable, what it does and what it is now."""
    for variable in config.VARIABLES:
        print(f"{variable.name:22} {variable.help}\n{'':22} now {variable()!r}")
    return 0


def show_isa(arguments: Sequence[str]) -> int:
    """isa [backend]: the manual of a backend's instructions."""
    backend = registry.find(arguments[0] if arguments else "npu")
    manual = getattr(backend, "manual", None)
    print(manual() if callable(manual) else f"`{backend.name}` has no instruction set of its own")
    return 0


def show(arguments: Sequence[str]) -> int:
    """show FILE.tile [--after PASS]: the kernel of a file, checked; after all shared passes up to one, or `all`."""
    file, *rest = arguments or [""]
    if not file or (rest and (rest[0] != "--after" or len(rest) != 2)):
        print(show.__doc__, file=sys.stderr)
        return 1
    kernel = parse(Path(file).read_text(), file)
    verify(kernel)
    if rest:
        steps = [step.name for step in SHARED]
        if rest[1] not in [*steps, "all"]:
            print(f"there is no pass `{rest[1]}`; passes: {', '.join(steps)}, all", file=sys.stderr)
            return 1
        kernel = pipeline.run(kernel, SHARED, Machine("shown"), stop_after="" if rest[1] == "all" else rest[1], verify=True)
    print(kernel, end="")
    return 0


def check(arguments: Sequence[str]) -> int:
    """check [backend [programs]]: every op on every type, and random programs, against the interpreter, bit for bit."""
    if find_spec("hypothesis") is None:
        print("random programs need Hypothesis: pip install 'tiledsl[test]'", file=sys.stderr)
        return 1
    conformance = import_module("tiledsl.testing.conformance")
    name = arguments[0] if arguments else registry.default()
    rows = conformance.check(name, programs=int(arguments[1]) if len(arguments) > 1 else 50)
    for row in rows:
        print(row)
    for row in rows:
        for kind, difference in list(row.wrong.items())[:1]:
            print(f"\n{row.name} {kind}: {difference}")
    good = conformance.passes(rows)
    print(f"\n`{name}` {'agrees with the interpreter' if good else 'does not conform'}")
    return 0 if good else 1


def run(arguments: Sequence[str]) -> int:
    """run [--quick] script.py [arguments...]: a Triton script, with `import triton` meaning tiledsl and "cuda" this CPU."""
    return script.main(arguments)


def bench(arguments: Sequence[str]) -> int:
    """bench [kernels...]: tiledsl, NumPy and PyTorch side by side, and how long compiling takes; -h for options."""
    return table.main(arguments)


def mutants(arguments: Sequence[str]) -> int:
    """mutants PATH...: kernels of these files, spoilt at random: each ends in a diagnostic or a result; -h for options."""
    alias.install()
    return runner.main(arguments)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "ops": show_ops,
    "docs": write_docs,
    "config": show_config,
    "isa": show_isa,
    "show": show,
    "check": check,
    "mutants": mutants,
    "bench": bench,
    "run": run,
}


def main(arguments: Sequence[str]) -> int:
    """Run a subcommand; without one, list them."""
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is None:
        print("python -m tiledsl ...", *(c.__doc__ for c in COMMANDS.values()), sep="\n  ")
        return 1 if arguments and arguments[0] not in ("-h", "--help") else 0
    try:
        return command(arguments[1:])
    except TileError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
