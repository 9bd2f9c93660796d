"""Time of what ran: programs become tasks, tasks share a machine. Values never depend on it."""

from .collect import Piece, Prices, priced, tasks_of
from .events import Timed
from .listen import Listener
from .tasks import QUEUE_NAMES, Tasks

__all__ = ["QUEUE_NAMES", "Listener", "Piece", "Prices", "Tasks", "Timed", "priced", "tasks_of"]
