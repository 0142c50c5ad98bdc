from . import check as check
from . import figures as figures
from . import forecasting as forecasting
from . import gradients as gradients
from . import networks as networks
from . import tasks as tasks
from .forecasting.configurations import Layout as Layout
from .forecasting.experiment import choose_device as choose_device
from .forecasting.experiment import run as run
from .forecasting.forecaster import Forecaster as Forecaster
from .forecasting.forecaster import count_parameters as count_parameters
from .forecasting.grid import grid as grid
from .forecasting.grid import recorded as recorded
from .forecasting.grid import run_all as run_all
from .forecasting.prices import Prices as Prices
from .forecasting.prices import load_prices as load_prices
from .forecasting.records import Record as Record
from .forecasting.records import origin as origin
from .forecasting.settings import Experiment as Experiment
from .gradients import bptt as bptt
from .gradients import truncation as truncation
from .tasks import memory as memory
from .tasks import text as text
from .tasks import watch as watch

__version__: str
