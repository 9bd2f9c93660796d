"""Random programs give the same bits on every backend, with one thread and with two.

An ordinary run draws few; `TILEDSL_FUZZ=1000 python -m pytest tests/test_agreement.py` draws a thousand for each backend.
"""

from __future__ import annotations

import pytest
from conftest import examples
from hypothesis import given, settings

from tiledsl.backend.base import Options
from tiledsl.testing.oracle import backends, compare
from tiledsl.testing.programs import Case, cases

REFERENCE = "interpreter"
OTHERS = [name for name in backends() if name != REFERENCE]


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "unfused"])
def test_a_backend_agrees_with_the_interpreter(backend: str, fused: bool) -> None:
    @settings(max_examples=examples(40 if fused else 10))
    @given(cases(exact=False))
    def agree(case: Case) -> None:
        for threads in (1, 2) if case.grid != (1, 1, 1) else (1,):
            compare(case, [REFERENCE, backend], Options(num_threads=threads, enable_fp_fusion=fused))

    agree()
