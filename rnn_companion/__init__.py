"""Recurrent networks whose equations run: the package behind the book.

Names are loaded when they are first used, so importing the package costs next
to nothing and does nothing else.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
