"""Text, a character at a time: corpora, the character model, sampling, training."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
