from .experiment import Experiment as Experiment
from .experiment import choose_device as choose_device
from .experiment import run as run
from .forecaster import Forecaster as Forecaster
from .prices import Prices as Prices
from .prices import load_prices as load_prices
from .records import Record as Record

__version__: str
