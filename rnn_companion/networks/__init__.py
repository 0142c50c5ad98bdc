"""The recurrences, symbol for symbol as the book prints them.

Tensors are time first and a batch lies in rows: `X` is `(T, B, d)`, `H` is
`(T, B, h)`. Weights are stored out x in, as in torch. These functions are meant to
be read; torch's autograd differentiates them. `rnn_companion.gradients.bptt` has the
same recurrences with their gradients written out by hand.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
