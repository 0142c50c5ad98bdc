"""Gradients by hand, how far they reach, what is cut off, and how to step down them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
