"""What a launch in Triton's way looks at, told to native code that repeats launches (runtime/direct.py)."""

from __future__ import annotations

from typing import Any

from ....backend.direct import ABSENT, Watch, Where
from ....runtime.direct import Indescribable, environment
from .. import knobs


def of(caches: dict[Any, tuple[Any, ...]], kernel: object) -> list[Watch]:
    """Knobs and hooks as they are, and that a kernel is kept; Indescribable if one of them wants to be asked every time."""
    runtime, language = knobs.runtime, knobs.language
    if runtime.debug or not language.default_fp_fusion:
        raise Indescribable  # they change the options of a launch
    found = [_entry(vars(knobs), "runtime"), _entry(vars(knobs), "language"), _entry(vars(runtime), "debug")]
    found += [_entry(vars(language), "default_fp_fusion"), *environment("TRITON_DEFAULT_FP_FUSION")]
    for name in ("launch_enter_hook", "launch_exit_hook"):
        hook = getattr(runtime, name)
        if type(hook) is not knobs.HookChain or type(hook.calls) is not list or hook.calls:
            raise Indescribable
        found += [_entry(vars(runtime), name), _entry(vars(hook), "calls"), Watch(Where.EMPTY, hook.calls)]
    for device, (kernels, *_) in caches.items():
        found += [_entry(caches, device), *(_entry(kernels, name) for name, kept in kernels.items() if kept is kernel)]
    return found


def _entry(place: dict[Any, Any], name: Any) -> Watch:
    return Watch(Where.DICT, place, name, place.get(name, ABSENT))
