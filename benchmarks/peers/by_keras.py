"""Keras's `fit`, on the backend that KERAS_BACKEND names.

Keras's layers have one bias, torch's two, which together move twice as far. The
second is here the weight of a second input that is always 1.
"""

from collections.abc import Callable

import keras
import torch
from keras import KerasTensor, layers, ops

from benchmarks.contenders import orders
from rnn_companion.forecasting.settings import Experiment
from rnn_companion.forecasting.windows import Windows


def train(
    experiment: Experiment, windows: Windows, done: Callable[[float], None]
) -> None:
    """Call `done` with the loss of each epoch."""
    inputs = windows.inputs.transpose(0, 1)  # (N, T, 1)
    X = torch.cat([inputs, torch.ones_like(inputs)], -1).numpy()  # (N, T, 2)
    Y = windows.targets.transpose(0, 1).numpy()
    model = make(experiment)
    optimizer = Adam if experiment.optimizer == "adam" else keras.optimizers.SGD
    model.compile(
        optimizer(experiment.learning_rate),
        loss="mean_squared_error",
        metrics=[MeanOfBatches(name="mean")],
    )
    for dealt in orders(experiment, windows):
        order, size = dealt.numpy(), experiment.batch_size
        past = model.fit(X[order], Y[order], size, shuffle=False, verbose=0)
        done(past.history["mean"][0])


def make(experiment: Experiment) -> keras.Model:
    """Make the model with the weights of ours; gates stand in torch's order."""
    layer = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM}[experiment.cell]
    model = keras.Sequential(
        [
            keras.Input((experiment.length, 2)),
            layer(experiment.hidden_size, return_sequences=True),
            layers.Dense(1),
        ]
    )
    W_xh, W_hh, b, b_too, W_hq, b_q = experiment.model().parameters()
    W_in = torch.cat([W_xh, b_too[:, None]], 1)
    weights = W_in.T, W_hh.T, b, W_hq.T, b_q
    model.set_weights([w.detach().numpy() for w in weights])
    return model


class MeanOfBatches(keras.metrics.Mean):  # type: ignore[misc]
    """The loss as all others report it: Keras's own weighs batches by size."""

    def update_state(
        self, Y: KerasTensor, outputs: KerasTensor, sample_weight: None = None
    ) -> None:
        super().update_state(ops.mean(ops.square(outputs - Y)))


# On torch, Keras makes an Adam of another, faster class than it was asked for.
class Adam(type(keras.optimizers.Adam())):  # type: ignore[misc]
    """Adds epsilon as torch does: after the correction for the start, not before."""

    @property
    def epsilon(self) -> KerasTensor:
        t = ops.cast(self.iterations + 1, "float32")
        return 1e-8 * ops.sqrt(1 - self.beta_2**t)

    @epsilon.setter
    def epsilon(self, value: float) -> None:
        """Leave it."""
