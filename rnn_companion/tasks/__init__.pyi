from . import adding as adding
from . import clock as clock
from . import lessons as lessons
from . import memory as memory
from . import own_series as own_series
from . import sweep as sweep
from . import text as text
from . import watch as watch
