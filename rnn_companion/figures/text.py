"""The figures of chapter 9, on text."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, LINES, MARKERS, figure
from rnn_companion.tasks.text import CONTEXTS, CURVE_EVERY, TextRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["context", "course", "temperature"]

VISIBLE = {"\n": "↵", " ": "␣"}
COLUMNS, ROWS = 62, 6  # of a sample
LIKELIEST = 10

Written = Sequence[tuple[str, float]]


@figure
def course(record: TextRecord) -> Picture:
    """Show loss, perplexity and accuracy in the course of training.

    Parameters
    ----------
    record : TextRecord
        With a held-out text.

    Returns
    -------
    Picture
    """
    import matplotlib.pyplot as plt
    import numpy as np

    fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6))
    steps = [CURVE_EVERY * (n + 1) for n in range(len(record.training_loss))]
    marks = [mark.step for mark in record.marks]
    curves = [
        (left, record.training_loss, [m.validation_loss for m in record.marks]),
        (
            right,
            record.training_accuracy,
            [m.validation_accuracy for m in record.marks],
        ),
    ]
    for ax, training, validation in curves:
        ax.plot(steps, training, color=COLORS[0], lw=1.2, label="training")
        held_out = np.array(validation, dtype=float)
        ax.plot(marks, held_out, "--s", color=COLORS[3], ms=5, label="held out")
        ax.set(xlabel="training step", ylim=(0, None))
    left.set(ylabel="loss (nats a character)")
    right.set(ylabel="accuracy")
    left.legend()
    perplexity = left.secondary_yaxis(
        "right", functions=(_exp, lambda p: np.log(np.maximum(p, 1e-9)))
    )
    perplexity.set_yticks(
        [1, 2, 3, 5, 10, 30, 100], labels=["1", "2", "3", "5", "10", "30", "100"]
    )
    perplexity.set_ylabel("perplexity", labelpad=1)
    fig.get_layout_engine().set(wspace=0.1)  # type: ignore[union-attr, call-arg]
    last = record.marks[-1]
    return Picture(
        fig,
        alt=(
            "Loss and accuracy against training step. The loss falls from "
            f"{record.marks[0].mean_loss:.2f} to {last.mean_loss:.2f} in training and "
            f"to {last.validation_loss:.2f} on held-out text; the accuracy on held-out "
            f"text rises to {last.validation_accuracy:.0%}. Most of it happens early."
        ),
        caption=(
            "Training a character model on Python's own help texts. The scale between "
            "the panels turns the loss into a perplexity."
        ),
    )


def _exp(loss: "Tensor") -> object:
    import numpy as np

    return np.exp(loss)


def temperature(
    prompt: str,
    vocabulary: str,
    distribution: Callable[[float], Tensor],
    samples: Mapping[float, Written],
) -> Frames:
    """Turn the temperature, and see the next character and a whole sample.

    Parameters
    ----------
    prompt : str
        What the model has read.
    vocabulary : str
        Its V characters.
    distribution : callable
        ``distribution(temperature)`` returns the probabilities of the next character,
        shape (V,).
    samples : mapping of float to sequence of (str, float)
        For each temperature what was written, and the probability of each character.

    Returns
    -------
    Frames
        With the control `temperature`.
    """
    temperatures = sorted(samples)
    first = min(temperatures, key=lambda tau: abs(tau - 1))
    order = distribution(first).argsort(descending=True)[:LIKELIEST].tolist()

    def draw(temperature: float) -> "Figure":
        import matplotlib.pyplot as plt

        fig, (top, below) = plt.subplots(2, 1, figsize=(8.4, 4.9), height_ratios=[5, 6])
        p = distribution(temperature)
        top.bar(range(len(order)), p[order].tolist(), color=COLORS[0], width=0.7)
        top.set_xticks(
            range(len(order)),
            [_seen(vocabulary[k]) for k in order],
            family="DejaVu Sans Mono",
        )
        top.set(ylim=(0, 1), ylabel="probability", xlabel="next character")
        top.set_title(
            f"after “{_shown(prompt)}”, temperature {temperature:g}: "
            f"entropy {_entropy(p):.2f} nats, "
            f"all others together {1 - float(p[order].sum()):.0%}",
            fontsize=10.5,
        )
        _page(below, samples[temperature])
        return fig

    def alt(temperature: float) -> str:
        p = distribution(temperature)
        best = _seen(vocabulary[order[0]])
        text = "".join(c for c, _ in samples[temperature][: COLUMNS * ROWS])
        return (
            f"Temperature {temperature:g}. The next character after “{_shown(prompt)}” "
            f"is “{best}” with probability {float(p[order[0]]):.2f}; the entropy is "
            f"{_entropy(p):.2f} nats. A sample: {' '.join(text.split())[:160]}"
        )

    return Frames(
        draw,
        {"temperature": temperatures},
        alt,
        caption=(
            "Turn the temperature. Above, the distribution from which the next "
            "character is drawn; the order of the bars stays. Below, a sample: the "
            "darker a character's ground, the less probable it was when it was drawn."
        ),
    )


def _entropy(p: Tensor) -> float:
    return float(-(p * p.clamp_min(1e-30).log()).sum())


def _seen(character: str) -> str:
    return VISIBLE.get(character, character)


def _shown(text: str) -> str:
    return text.replace("\n", "↵")


def _page(ax: "Axes", written: Written) -> None:
    """Print characters on a grid, their ground darker the less probable they were."""
    from matplotlib.patches import Rectangle

    for n, (character, p) in enumerate(written[: COLUMNS * ROWS]):
        row, column = divmod(n, COLUMNS)
        shade = 1 - 0.55 * (1 - p) ** 2
        ground = (shade, shade, 0.25 + 0.75 * shade)
        ax.add_patch(
            Rectangle((column, -row), 1, 1, facecolor=ground, edgecolor="none")
        )
        ax.text(
            column + 0.5,
            -row + 0.45,
            "↵" if character == "\n" else character,
            family="DejaVu Sans Mono",
            fontsize=9.5,
            color=INK,
            ha="center",
            va="center",
            parse_math=False,
        )
    ax.set(xlim=(0, COLUMNS), ylim=(1 - ROWS, 1))
    ax.axis("off")


@figure
def context(record: TextRecord, steps: Sequence[int]) -> Picture:
    """Show how the loss falls when more characters have been read.

    Parameters
    ----------
    record : TextRecord
        With marks at the given steps.
    steps : sequence of int
        The marks to show.

    Returns
    -------
    Picture
    """
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7.2, 3.9))
    shown = [mark for mark in record.marks if mark.step in steps]
    for n, mark in enumerate(shown):
        ax.plot(
            CONTEXTS,
            mark.context_loss,
            color=COLORS[n],
            linestyle=LINES[n],
            marker=MARKERS[n],
            ms=5,
            label=f"after {mark.step} steps",
        )
    ax.axvspan(1.9, 3.1, color="#EEEEEE", zorder=0)
    ax.annotate(
        "“the previous\n2 or 3”",
        (2.43, 0.97),
        xycoords=("data", "axes fraction"),
        ha="center",
        va="top",
        fontsize=9,
        color="#444444",
    )
    ax.set(
        xscale="log",
        xlabel="characters read before the one to tell",
        ylabel="loss (nats)",
    )
    ax.set_xticks(CONTEXTS, labels=[str(c) for c in CONTEXTS])
    ax.minorticks_off()
    ax.legend()
    told = "; ".join(
        f"after {m.step} steps {m.context_loss[0]:.2f}, {m.context_loss[2]:.2f} and "
        f"{m.context_loss[-1]:.2f}"
        for m in shown
    )
    return Picture(
        fig,
        alt=f"Loss after reading 1, 3 and 30 characters: {told}.",
        caption=(
            "The loss on the same held-out characters when 1 to 30 of the characters "
            "before them have been read. Where a curve is still falling, the model "
            "still uses what lies that far back."
        ),
    )
