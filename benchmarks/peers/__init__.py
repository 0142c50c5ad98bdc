"""The same training by other libraries, each in a process of its own.

The peers start from the weights that the plain loop starts from and see the same
batches, so their losses must be the same. They are used as their manuals show. A
peer's module imports its library, which need not be installed: so it is imported
late, in the peer's process.
"""

from importlib.util import find_spec
from typing import NamedTuple


class Peer(NamedTuple):
    module: str  # has a function train(experiment, windows, done)
    needs: tuple[str, ...]
    backend: str = ""  # of Keras, which reads it when it is imported


PEERS = {
    "lightning": Peer("by_lightning", ("lightning",)),
    "keras-jax": Peer("by_keras", ("keras", "jax"), "jax"),
    "keras-torch": Peer("by_keras", ("keras",), "torch"),
    "keras-tf": Peer("by_keras", ("keras", "tensorflow"), "tensorflow"),
    "jax": Peer("by_jax", ("jax",)),
}


def missing(peer: Peer) -> list[str]:
    """Name the libraries of a peer that are not installed."""
    return [name for name in peer.needs if find_spec(name) is None]
