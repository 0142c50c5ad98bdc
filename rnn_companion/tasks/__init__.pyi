from . import adding as adding
from . import memory as memory
from . import sweep as sweep
from . import text as text
from . import watch as watch
