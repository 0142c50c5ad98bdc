"""Checks of what a reader writes in the exercises, which say what is wrong.

Each check runs a function on small random inputs and compares it with the book's
own. Where they differ it tries the mistakes that are often made, and names the one
that gives the same wrong numbers. Nothing here is secret, and nothing is graded.

>>> from rnn_companion import networks, check
>>> check.rnn_step(networks.rnn_step)
rnn_step: correct.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
