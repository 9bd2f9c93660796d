"""A fork at any moment leaves children that can compile and run."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

SCRIPT = """
    import os, sys, threading, warnings
    import numpy as np
    sys.path.insert(0, os.getcwd())
    import tiledsl
    import tiledsl.language as tl

    @tiledsl.jit
    def add(o, x, n, B: tl.constexpr):
        i = tl.program_id(0) * B + tl.arange(0, B)
        tl.store(o + i, tl.load(x + i, mask=i < n) * 2, mask=i < n)

    n = 20000
    x = np.arange(n, dtype=np.float32)

    def work(block):
        out = np.zeros_like(x)
        add[(tiledsl.cdiv(n, block),)](out, x, n, B=block, backend="cpu", num_threads=2)
        assert (out == 2 * x).all()

    if sys.argv[1] == "warm":
        work(32)
    threads = [threading.Thread(target=work, args=(64 << (j % 4),)) for j in range(6)]
    for thread in threads:
        thread.start()
    children = []
    for _ in range(4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            child = os.fork()
        if child == 0:
            code = 4
            try:
                work(256)
                work(1024)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    for thread in threads:
        thread.join()
    print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.mark.parametrize("start", ["first", "warm"])
def test_children_forked_while_others_compile_can_compile(tmp_path, start: str) -> None:
    script = tmp_path / "fork_while_compiling.py"
    script.write_text(textwrap.dedent(SCRIPT))
    environment = {**os.environ, "TILEDSL_CACHE": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, str(script), start], capture_output=True, text=True, timeout=60, env=environment)
    assert found.stdout.strip() == "[0, 0, 0, 0]", found.stderr[-2000:]
