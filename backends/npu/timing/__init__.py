"""Time of what ran: programs become tasks, tasks share a machine. Values never depend on it."""

from .collect import Collector, Prices
from .events import Timed
from .listen import Listener
from .tasks import QUEUE_NAMES, Tasks

__all__ = ["QUEUE_NAMES", "Collector", "Listener", "Prices", "Tasks", "Timed"]
