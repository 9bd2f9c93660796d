"""A profile as one page that needs nothing else: a timeline to zoom and drag, a source line on every slice, and the text."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .path import Link
from .perfetto import shown, spans
from .tasks import QUEUE_NAMES
from .text import described, place_and_text

if TYPE_CHECKING:
    from .profile import Profile

MOST_SLICES = 100_000
PAGE = Path(__file__).with_name("timeline.html")


def write_timeline(profile: Profile, path: Path) -> Path:
    """The page as a file."""
    rows = profile.slices
    count = shown(rows, MOST_SLICES)
    lanes = np.unique(rows.core[:count] * 64 + rows.queue[:count])
    starts, stops = spans(rows)
    data = {
        "lanes": [f"{lane // 64}:{QUEUE_NAMES[lane % 64]}" for lane in lanes.tolist()],
        "lane": np.searchsorted(lanes, rows.core[:count] * 64 + rows.queue[:count]).tolist(),
        "start": np.round(starts[:count], 1).tolist(),
        "length": np.round(stops[:count] - starts[:count], 1).tolist(),
        "waited": np.round(rows.began[:count] - rows.entered[:count], 1).tolist(),
        "pc": rows.pc[:count].tolist(),
        "run": rows.run[:count].tolist(),
        "words": list(profile.words),
        "lines": [" ".join(place_and_text(loc)) for loc in profile.lines],
        "critical": [[round(link.start, 1), round(link.stop, 1), _lane(profile, lanes, link)] for link in profile.path[-MOST_SLICES:]],
        "clock": profile.machine.clock_mhz,
        "all": count == len(rows) and bool((profile.timed.recorded >= 0).all()),
    }
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    page = PAGE.read_text()
    for mark, value in (("TITLE", html.escape(f"{profile.kernel} on {profile.machine.name}")), ("TEXT", html.escape(described(profile)))):
        page = page.replace(f"@{mark}@", value)
    path.write_text(page.replace("@DATA@", text))
    return path


def _lane(profile: Profile, lanes: np.ndarray, link: Link) -> int:
    """The lane that a link of the critical path lies in; -1 for one that is not shown."""
    if link.task < 0:
        return -1
    core = int(np.searchsorted(profile.timed.firsts, link.position, side="right")) - 1
    lane = core * 64 + QUEUE_NAMES.index(profile.queue_of(link))
    at = int(np.searchsorted(lanes, lane))
    return at if at < len(lanes) and lanes[at] == lane else -1
