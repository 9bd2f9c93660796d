"""Compiled kernels on disk: found again, never trusted, never fatal; under threads, processes and fork."""

import multiprocessing
import os
import stat
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl import files
from tiledsl.backend.base import Options, Program
from tiledsl.frontend.signature import Parameter, Signature
from tiledsl.ir.parser import parse_type
from tiledsl.machine import Machine
from tiledsl.runtime import cache
from tiledsl.runtime.compile import Compiled
from tiledsl.runtime.jit import jit
from tiledsl.runtime.launch import Target

PROGRAM = Program("cpu", "axpy", (parse_type("*f32"), parse_type("i32")), bytes(range(256)) * 9, {"asm": "vaddps\né"})
ENTRY = Compiled(PROGRAM, (0,), "ab" * 32)


@pytest.fixture
def root(monkeypatch, tmp_path):
    monkeypatch.setenv("TILEDSL_CACHE_DIR", str(tmp_path / "cache"))
    files._give_up.cache_clear()
    return tmp_path / "cache"


def must_not_build():
    raise AssertionError("the entry should have been found")


def entry_of(root) -> Path:
    (path,) = (root / "kernels").iterdir()
    return path


# --- entries


def test_an_entry_reads_back_as_it_was_written(root):
    assert cache.Cache().get(ENTRY.key, lambda: ENTRY) is ENTRY
    found = cache.Cache().get(ENTRY.key, must_not_build)
    assert found.program == PROGRAM
    assert (found.stored, found.key) == ((0,), ENTRY.key)


def test_memory_comes_before_disk(root):
    kept = cache.Cache()
    kept.get(ENTRY.key, lambda: ENTRY)
    entry_of(root).unlink()
    assert kept.get(ENTRY.key, must_not_build) is ENTRY
    kept.clear()
    assert kept.get(ENTRY.key, lambda: ENTRY) is ENTRY


def test_a_flipped_bit_anywhere_makes_an_entry_worthless():
    data = cache.encode(ENTRY)
    assert cache.decode(data, ENTRY.key) is not None
    for at in range(len(data)):
        assert cache.decode(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], ENTRY.key) is None


def test_a_truncated_entry_is_worthless():
    data = cache.encode(ENTRY)
    for size in range(len(data)):
        assert cache.decode(data[:size], ENTRY.key) is None


def test_the_entry_of_another_key_is_worthless():
    assert cache.decode(cache.encode(ENTRY), "cd" * 32) is None


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: b"", lambda d: b"\x80\x04." + d, lambda d: d.replace(b"axpy", b"evil")])
def test_a_corrupt_entry_is_built_again_and_replaced(root, damage):
    cache.Cache().get(ENTRY.key, lambda: ENTRY)
    path = entry_of(root)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert cache.Cache().get(ENTRY.key, lambda: ENTRY) is ENTRY
    assert path.read_bytes() == whole


def test_an_entry_that_cannot_be_read_is_built_again(root):
    cache.Cache().get(ENTRY.key, lambda: ENTRY)
    path = entry_of(root)
    path.unlink()
    path.mkdir()
    with pytest.warns(UserWarning, match="kernels are not kept on disk"):
        assert cache.Cache().get(ENTRY.key, lambda: ENTRY) is ENTRY
    assert list(path.parent.iterdir()) == [path]  # nothing half-written is left behind


def test_a_link_is_not_followed(root):
    cache.Cache().get(ENTRY.key, lambda: ENTRY)
    path = entry_of(root)
    elsewhere = path.rename(root / "elsewhere")
    path.symlink_to(elsewhere)
    assert cache.load(path, ENTRY.key) is None


def test_a_build_that_fails_leaves_nothing(root):
    kept = cache.Cache()
    with pytest.raises(ZeroDivisionError):
        kept.get(ENTRY.key, lambda: 1 // 0)
    assert not any((root / "kernels").iterdir())
    assert kept.get(ENTRY.key, lambda: ENTRY) is ENTRY


# --- the directory


def test_the_directory_is_the_users_alone(root):
    cache.Cache().get(ENTRY.key, lambda: ENTRY)
    assert stat.S_IMODE((root / "kernels").stat().st_mode) == 0o700
    assert stat.S_IMODE(entry_of(root).stat().st_mode) == 0o600


def test_a_directory_open_to_others_is_closed(root):
    (root / "kernels").mkdir(parents=True)
    (root / "kernels").chmod(0o777)
    cache.Cache().get(ENTRY.key, lambda: ENTRY)
    assert stat.S_IMODE((root / "kernels").stat().st_mode) == 0o700


def test_a_directory_of_another_user_is_not_used(root, monkeypatch):
    cache.Cache().get(ENTRY.key, lambda: ENTRY)
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    built = []
    with pytest.warns(UserWarning, match="it is not a directory of this user") as caught:
        for _ in range(3):
            cache.Cache().get(ENTRY.key, lambda: built.append(1) or ENTRY)
    assert len(built) == 3
    assert len(caught) == 1  # said once


def test_an_entry_of_another_user_is_not_used(root, monkeypatch):
    cache.Cache().get(ENTRY.key, lambda: ENTRY)
    path = entry_of(root)
    assert cache.load(path, ENTRY.key) is not None
    monkeypatch.setattr(files, "_is_mine", lambda found: stat.S_ISDIR(found.st_mode))
    assert cache.load(path, ENTRY.key) is None


def test_a_link_in_place_of_the_directory_is_not_used(root, tmp_path):
    root.mkdir()
    (tmp_path / "other").mkdir()
    (root / "kernels").symlink_to(tmp_path / "other")
    with pytest.warns(UserWarning, match="it is not a directory of this user"):
        cache.Cache().get(ENTRY.key, lambda: ENTRY)
    assert not any((tmp_path / "other").iterdir())


def test_a_place_that_cannot_be_a_directory_is_not_fatal(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TILEDSL_CACHE_DIR", str(tmp_path / "file"))
    files._give_up.cache_clear()
    with pytest.warns(UserWarning, match="kernels are not kept on disk"):
        assert cache.Cache().get(ENTRY.key, lambda: ENTRY) is ENTRY


def test_a_user_without_a_home_leaves_no_folder_where_they_work(monkeypatch, tmp_path):
    monkeypatch.setenv("TILEDSL_CACHE_DIR", "~nobody-of-this-name/cache")
    monkeypatch.chdir(tmp_path)
    files._give_up.cache_clear()
    with pytest.warns(UserWarning, match="this user has no home directory"):
        assert cache.Cache().get(ENTRY.key, lambda: ENTRY) is ENTRY
    assert not any(tmp_path.iterdir())


def test_the_disk_can_be_left_alone(root, monkeypatch):
    monkeypatch.setenv("TILEDSL_CACHE", "0")
    cache.Cache().get(ENTRY.key, lambda: ENTRY)
    assert not root.exists()


def test_watching_the_passes_runs_them(root, monkeypatch):
    cache.Cache().get(ENTRY.key, lambda: ENTRY)
    monkeypatch.setenv("TILEDSL_SHOW", "all")
    built = []
    cache.Cache().get(ENTRY.key, lambda: built.append(1) or ENTRY)
    assert built


# --- keys


class Backend:
    name, machine, passes = "here", Machine("here"), ()


class OtherBackend(Backend):
    machine = Machine("here", vector_bytes=64)


def key(fingerprint="f", parameters=(), debug=False, backend=Backend, **options):
    target = Target(backend(), Options(**options), debug)
    return cache.key_of(fingerprint, Signature(parameters, debug).text, target.text, target.backend)


def test_a_key_covers_all_that_code_depends_on(monkeypatch):
    n = Parameter("n", parse_type("i32"))
    keys = [
        key(),
        key(fingerprint="g"),
        key(parameters=(n,)),
        key(parameters=(Parameter("n", parse_type("i32"), divisible=16),)),
        key(parameters=(Parameter("n", value=1),)),
        key(parameters=(Parameter("n", value=True),)),
        key(debug=True),
        key(fast_math=True),
        key(enable_fp_fusion=False),
        key(deterministic=True),
        key(backend=OtherBackend),
    ]
    assert key(num_threads=3) == keys[0]
    monkeypatch.setattr(cache, "compiler_version", lambda: "another")
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_sources_that_nobody_imported_are_not_looked_at(monkeypatch):
    """Looking at all takes longer than loading a kernel; what is imported may have had its part in compiling."""
    looked_at: list[str] = []
    monkeypatch.setattr(cache, "_stamp_now", lambda path: looked_at.append(os.path.basename(path)) or path)
    monkeypatch.delitem(sys.modules, "tiledsl.compat", raising=False)
    without = cache.compiler_version()
    monkeypatch.setitem(sys.modules, "tiledsl.compat", cache)
    assert cache.compiler_version() != without and looked_at == ["tiledsl", "tiledsl", "compat"]


def test_a_stamp_tells_versions_of_sources_apart(tmp_path):
    inner = tmp_path / "package" / "inner"
    inner.mkdir(parents=True)
    (inner / "module.py").write_text("x = 1")
    stamps = [cache._stamp(str(tmp_path))]
    (inner / "notes.txt").write_text("no source")
    (inner / "__pycache__").mkdir()
    assert cache._stamp(str(tmp_path)) == stamps[0]
    (inner / "module.py").write_text("x = 10")
    stamps.append(cache._stamp(str(tmp_path)))
    os.utime(inner / "module.py", ns=(1, 1))
    stamps.append(cache._stamp(str(tmp_path)))
    (inner / "other.py").write_text("")
    stamps.append(cache._stamp(str(tmp_path)))
    (inner / "other.py").rename(tmp_path / "other.py")
    stamps += [cache._stamp(str(tmp_path)), cache._stamp(str(tmp_path / "other.py")), cache._stamp(str(tmp_path / "missing.py"))]
    assert len(set(stamps)) == len(stamps)


def write_module(path: Path, scale=2, helper="x + 1") -> None:
    path.write_text(
        textwrap.dedent(f"""
        import tiledsl.language as tl
        from tiledsl.runtime.jit import jit

        SCALE = tl.constexpr({scale})

        @jit
        def helper(x):
            return {helper}

        @jit
        def kernel(out, n: tl.constexpr):
            tl.store(out, helper(n) * SCALE)
        """)
    )


RUN = """
import sys, numpy as np
sys.path.insert(0, sys.argv[1])
import module
from tiledsl.runtime import compile as c
built = []
original = c.lower_function
c.lower_function = lambda *a: built.append(1) or original(*a)
out = np.zeros(1, np.int32)
module.kernel[(1,)](out, 3, backend="cpu")
print(out[0], len(built))
"""


def run(tmp_path) -> str:
    search = os.pathsep.join([str(Path(tiledsl.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        # -B: a module that changes within a second, and keeps its size, would be taken from old bytecode
        [sys.executable, "-B", "-c", RUN, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": search},
        check=True,
    )
    return done.stdout.strip()


def test_the_next_process_finds_what_this_one_compiled_until_something_changes(root, tmp_path):
    module = tmp_path / "module.py"
    write_module(module)
    assert run(tmp_path) == "8 1"
    assert run(tmp_path) == "8 0"
    write_module(module, scale=3)
    assert run(tmp_path) == "12 1"
    write_module(module, scale=3, helper="x + 2")
    assert run(tmp_path) == "15 1"
    write_module(module)
    assert run(tmp_path) == "8 0"


# --- threads, fork


def test_a_key_is_built_once_whatever_the_number_of_threads(root):
    kept, built, start = cache.Cache(), [], threading.Barrier(8)

    def build():
        built.append(1)
        return ENTRY

    def ask():
        start.wait()
        assert kept.get(ENTRY.key, build) is ENTRY

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(built) == 1


@jit
def double(x, n: tl.constexpr):
    i = tl.arange(0, n)
    tl.store(x + i, tl.load(x + i) * 2)


def _launch_in_child(queue, n):
    x = np.ones(64, np.float32)
    double[(1,)](x, n, backend="cpu")
    queue.put(float(x.sum()))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_launches_even_if_a_thread_was_compiling(root):
    double[(1,)](np.ones(64, np.float32), 64, backend="cpu")  # known before the fork
    holding, release = threading.Event(), threading.Event()

    def build():
        holding.set()
        release.wait(30)
        return ENTRY

    compiling = threading.Thread(target=lambda: cache.kernels.get(ENTRY.key, build))
    compiling.start()
    holding.wait(30)
    try:
        with cache.kernels._guard:  # held while the process is copied
            context = multiprocessing.get_context("fork")
            queue = context.Queue()
            children = [context.Process(target=_launch_in_child, args=(queue, n)) for n in (64, 32)]
            for child in children:
                child.start()
        assert sorted(queue.get(timeout=30) for _ in children) == [96, 128]
        for child in children:
            child.join(30)
    finally:
        release.set()
        compiling.join()
        cache.kernels._kept.pop(ENTRY.key, None)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_that_compile_the_same_kernel_do_not_disturb_each_other(root):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=_launch_in_child, args=(queue, 16)) for _ in range(4)]
    for child in children:
        child.start()
    assert [queue.get(timeout=30) for _ in children] == [80] * 4
    for child in children:
        child.join(30)
    path = entry_of(root)  # one entry, and nothing left aside
    assert cache.load(path, path.stem) is not None


def test_nothing_is_said_when_all_is_well(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.Cache().get(ENTRY.key, lambda: ENTRY)


def test_what_was_not_used_for_longest_is_removed_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new.kernel", "middle.kernel", "old.kernel", "older.kernel")):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    (tmp_path / ".half.kernel.1.1").write_bytes(b"")
    os.utime(tmp_path / ".half.kernel.1.1", (1e9, 1e9))
    (tmp_path / "other").write_bytes(bytes(1000))
    files.trim(str(tmp_path), ".kernel", 0)
    files.trim(str(tmp_path), ".kernel", 400)
    assert len(list(tmp_path.glob("*.kernel"))) == 4 and not (tmp_path / ".half.kernel.1.1").exists()
    files.trim(str(tmp_path), ".kernel", 399)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["middle.kernel", "new.kernel", "other"]
    files.trim(str(tmp_path / "missing"), ".kernel", 1)


def test_one_key_of_many_has_the_size_looked_at(root, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of tens of thousands takes long to look at: not every process does at its first kernel."""
    looks: list[str] = []
    monkeypatch.setattr(files, "trim", lambda directory, suffix, limit: looks.append(suffix))
    kept = cache.Cache()
    for number in range(256):
        kept.get(f"{number:02x}{'0' * 62}", lambda: ENTRY)
    assert looks == [".kernel"]


def test_reading_an_entry_counts_as_use(tmp_path: Path) -> None:
    path = tmp_path / "some.kernel"
    path.write_bytes(b"no entry")
    os.utime(path, (1e9, 1e9))
    assert cache.load(str(path), "some") is None and path.stat().st_mtime > 1e9 + files.USED


def test_an_entry_is_read_though_its_use_cannot_be_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.kernel"
    path.write_bytes(b"code")
    os.utime(path, (1e9, 1e9))

    def refuse(path: str) -> None:
        raise OSError("read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert files.load(str(path)) == b"code"
