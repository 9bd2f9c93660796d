"""The vocabulary of tile programs: every op, declared once, by family."""

from .arrange import *
from .contract import *
from .contract import ACCUMULATORS, PARTIALS
from .control import *
from .creation import *
from .elementwise import *
from .grid import *
from .memory import *
from .memory import Atomic, split_block_operands
from .shape import *
