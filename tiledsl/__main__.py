"""`python -m tiledsl`: the manual of the ops, the environment variables, instruction sets, kernels shown and timed, backends checked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from . import config, manual
from .backend import registry
from .bench import table
from .compat.triton import alias
from .compat.triton import run as script
from .errors import TileError, nearest
from .explore import profiles
from .ir.parser import parse
from .ir.spec import SPECS
from .ir.types import DTYPES
from .ir.verify import verify
from .machine import Machine
from .passes import SHARED, pipeline
from .testing.mutants import runner


def show_ops(arguments: Sequence[str]) -> int:
    """ops [NAME...]: what every op takes, does and gives, or those named."""
    parser = _parser(show_ops)
    parser.add_argument("names", nargs="*", metavar="NAME", help="an op; all if none is named")
    names = parser.parse_args(arguments).names
    unknown = [name for name in names if name not in SPECS]
    for name in unknown:
        print(f"there is no op `{name}`", *_help(name, SPECS), file=sys.stderr)
    for spec in SPECS.values():
        if not names or spec.name in names:
            print(f"{manual.op_entry(spec)}\n")
    return 1 if unknown else 0


def write_docs(arguments: Sequence[str]) -> int:
    """docs [FOLDER]: where the pages of the manual are; or write all of them into a folder."""
    parser = _parser(write_docs)
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="where to write them")
    parser.add_argument("--update", action="store_true", help="write those that are made from declarations to where the package keeps them")
    options = parser.parse_args(arguments)
    if options.folder is None:
        found = manual.write(manual.FOLDER) if options.update else sorted(manual.FOLDER.glob("*.md"))
    else:
        found = manual.publish(options.folder)
    print(*found, sep="\n")
    return 0


def show_config(arguments: Sequence[str]) -> int:
    """config [NAME...]: every environment variable, or those named: what it does and what it is now."""
    parser = _parser(show_config)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a variable; all if none is named")
    names = parser.parse_args(arguments).names
    known = [variable.name for variable in config.VARIABLES]
    unknown = [name for name in names if name not in known]
    for name in unknown:
        print(f"there is no variable `{name}`", *_help(name, known), file=sys.stderr)
    for variable in config.VARIABLES:
        if not names or variable.name in names:
            print(f"{variable.name:22} {variable.help}\n{'':22} now {variable()!r}")
    return 1 if unknown else 0


def show_isa(arguments: Sequence[str]) -> int:
    """isa [BACKEND]: the manual of a backend's instructions."""
    parser = _parser(show_isa)
    parser.add_argument("backend", nargs="?", default="npu", metavar="BACKEND", help=f"{', '.join(registry.names())} (%(default)s)")
    backend = registry.find(parser.parse_args(arguments).backend)
    manual = getattr(backend, "manual", None)
    print(manual().rstrip() if callable(manual) else f"`{backend.name}` has no instruction set of its own")
    return 0


def show(arguments: Sequence[str]) -> int:
    """show FILE.tile [--after PASS]: the kernel of a file, checked; after all shared passes up to one, or `all`."""
    parser = _parser(show)
    parser.add_argument("file", type=Path, metavar="FILE.tile", help="a kernel in text, as kernel.show(...) prints it")
    parser.add_argument("--after", metavar="PASS", help="a shared pass, or `all`")
    options = parser.parse_args(arguments)
    steps = [*(step.name for step in SHARED), "all"]
    if options.after and options.after not in steps:
        print(f"there is no pass `{options.after}`; passes: {', '.join(steps)}", *_help(options.after, steps), file=sys.stderr)
        return 1
    try:
        text = options.file.read_text()
    except UnicodeDecodeError:
        print(f"{options.file}: this is no text", "help: show a file that kernel.show(...) printed", sep="\n", file=sys.stderr)
        return 1
    kernel = parse(text, str(options.file))
    verify(kernel)
    if options.after:
        kernel = pipeline.run(kernel, SHARED, Machine("shown"), stop_after="" if options.after == "all" else options.after, verify=True)
    print(kernel, end="")
    return 0


def check(arguments: Sequence[str]) -> int:
    """check [BACKEND [PROGRAMS]]: every op on every type, and random programs, against the interpreter, bit for bit."""
    parser = _parser(check)
    parser.add_argument(
        "backend", nargs="?", metavar="BACKEND", help=f"{', '.join(registry.names())}; if none is named, {registry.default()}"
    )
    parser.add_argument("programs", nargs="?", type=_count, default=50, metavar="PROGRAMS", help="how many random programs (%(default)s)")
    parser.add_argument("--about", type=_count, default=10, metavar="COUNT", help="how many about each op that is not alone (%(default)s)")
    parser.add_argument("--types", nargs="+", choices=list(DTYPES), metavar="TYPE", help="ops on these types; all if none is named")
    options = parser.parse_args(arguments)
    if find_spec("hypothesis") is None:
        print("random programs need Hypothesis: pip install 'tiledsl[test]'", file=sys.stderr)
        return 1
    conformance = import_module("tiledsl.testing.conformance")
    name = options.backend or registry.default()
    registry.find(name)
    rows = conformance.check(name, options.programs, options.about, [DTYPES[t] for t in options.types or DTYPES])
    for row in rows:
        print(row)
    for row in rows:
        for kind, difference in list(row.wrong.items())[:1]:
            print(f"\n{row.name} {kind}: {difference}")
    good = conformance.passes(rows)
    print(f"\n`{name}` {'agrees with the interpreter' if good else 'does not conform'}")
    return 0 if good else 1


def doctor(arguments: Sequence[str]) -> int:
    """doctor MACHINE [NAME...]: what falls to slow paths on a machine of npu, and which hardware would mend it."""
    parser = _parser(doctor)
    parser.add_argument("machine", metavar="MACHINE", help="a file my.npu.toml, a preset, or a backend")
    parser.add_argument("names", nargs="*", metavar="NAME", help="ops and ready kernels to look at; all if none is named")
    return _with_programs("tiledsl.explore.doctor", parser.parse_args(arguments))


def sweep(arguments: Sequence[str]) -> int:
    """sweep [MACHINE...] [--vary KEY=VALUE,...]: the same kernels on many machines: cycles, energy, area, and which are best."""
    command = import_module("tiledsl.explore.command")
    return int(command.main(command.options_of(_parser(sweep), arguments)))


def vectors(arguments: Sequence[str]) -> int:
    """vectors FOLDER [--check]: launches as files for another simulator of a machine, or what it made of them, compared."""
    parser = _parser(vectors)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--backend", default="npu", metavar="BACKEND", help="whose launches (%(default)s)")
    parser.add_argument("--types", nargs="+", metavar="TYPE", help="ops on these types; all if none is named")
    parser.add_argument("--programs", type=_count, default=20, metavar="COUNT", help="random programs (%(default)s)")
    parser.add_argument("--no-kernels", action="store_true", help="without the ready kernels")
    parser.add_argument("--check", action="store_true", help="run the vectors in FOLDER again, and compare")
    parser.add_argument("--against", type=Path, metavar="OTHER", help="with --check: compare with what another simulator left there")
    return _with_programs("tiledsl.testing.suite", parser.parse_args(arguments))


def _with_programs(module: str, options: argparse.Namespace) -> int:
    """What a module does that draws programs or has kernels for ops: it needs Hypothesis."""
    if find_spec("hypothesis") is None:
        print("random programs need Hypothesis: pip install 'tiledsl[test]'", file=sys.stderr)
        return 1
    done: int = import_module(module).main(options)
    return done


def run(arguments: Sequence[str]) -> int:
    """run [--quick] SCRIPT [ARGUMENTS...]: a Triton script, with `import triton` meaning tiledsl and "cuda" this CPU."""
    return script.main(arguments)


def sim(arguments: Sequence[str]) -> int:
    """sim SCRIPT [ARGUMENTS...]: a script on a modelled machine, with the profile of every launch."""
    return _watched(_watching(sim).parse_args(arguments), profiles.printed)


def trace(arguments: Sequence[str]) -> int:
    """trace SCRIPT [ARGUMENTS...]: a timeline of every launch of a script, for Perfetto and as a page."""
    parser = _watching(trace)
    parser.add_argument("-o", "--output", type=Path, default=Path("traces"), metavar="FOLDER", help="where to write them (%(default)s)")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)  # before the script begins
    return _watched(options, profiles.written(options.output))


def roofline(arguments: Sequence[str]) -> int:
    """roofline SCRIPT [ARGUMENTS...]: how near every launch of a script comes to the limits of a modelled machine."""
    return _watched(_watching(roofline).parse_args(arguments), profiles.ranked())


def _watching(command: Callable[[Sequence[str]], int]) -> argparse.ArgumentParser:
    parser = _parser(command)
    parser.add_argument("--machine", default="t1-base", metavar="MACHINE", help="a preset, or a file my.npu.toml (%(default)s)")
    parser.add_argument("script", type=Path, metavar="SCRIPT")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENTS", help="those of the script")
    return parser


def _watched(options: argparse.Namespace, tell: Callable[[profiles.Profile], None]) -> int:
    """A script whose launches are told."""
    if not options.script.is_file():
        print(f"{options.script}: there is no such file", file=sys.stderr)
        return 2
    return profiles.watch(options.machine, tell, lambda: script.run([str(options.script), *options.arguments]))


def bench(arguments: Sequence[str]) -> int:
    """bench [KERNEL...]: tiledsl, NumPy and PyTorch side by side, and how long compiling takes; -h for options."""
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
    "doctor": doctor,
    "sweep": sweep,
    "vectors": vectors,
    "mutants": mutants,
    "sim": sim,
    "trace": trace,
    "roofline": roofline,
    "bench": bench,
    "run": run,
}


def main(arguments: Sequence[str]) -> int:
    """Run a subcommand; without one, list them."""
    name, *rest = arguments or ["-h"]
    if name in ("-h", "--help"):
        print("python -m tiledsl ...", *(c.__doc__ for c in COMMANDS.values()), "", "python -m tiledsl COMMAND -h says more", sep="\n  ")
        return 0
    if name not in COMMANDS:
        print(f"there is no command `{name}`; commands: {', '.join(COMMANDS)}", *_help(name, COMMANDS), file=sys.stderr)
        return 2
    try:
        return COMMANDS[name](rest)
    except TileError as error:
        print(error, file=sys.stderr)
    except OSError as error:  # a file that is not there, or a folder
        if error.filename is None:
            raise
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
    return 1


def _count(text: str) -> int:
    """How many, from an argument."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"`{text}` is no number, 0 or more")
    return int(text)


def _parser(command: Callable[[Sequence[str]], int]) -> argparse.ArgumentParser:
    """What reads the arguments of a command, with its sentence as description."""
    name = next(name for name, function in COMMANDS.items() if function is command)
    said = (command.__doc__ or "").partition(": ")[2]
    return argparse.ArgumentParser(f"python -m tiledsl {name}", description=said[:1].upper() + said[1:])


def _help(name: str, known: Iterable[str]) -> list[str]:
    """The nearest of the names, as a line, if one is near."""
    near = nearest(name, list(known))
    return [f"\nhelp: {near}"] if near else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
