"""The character model, and the file that keeps it.

Source: chapter *Text*, sections *The network* and on.
"""

import math
import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]  # H and C of the LSTM, each (layers, B, h)


class CharacterModel(nn.Module):
    """An LSTM that reads characters one-hot and scores the next one.

    Parameters
    ----------
    vocabulary : str
        Every character it knows, once.
    hidden_size, layers : int
        Units of each layer, stacked layers.
    generator : torch.Generator, optional
        Draws the start: uniform in ±1/√h, as torch does.
    """

    def __init__(
        self,
        vocabulary: str,
        *,
        hidden_size: int = 128,
        layers: int = 2,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self._index = {character: k for k, character in enumerate(vocabulary)}
        with torch.device("meta"):  # no draw from the global generator
            self.cell = nn.LSTM(len(vocabulary), hidden_size, layers)
            self.head = nn.Linear(hidden_size, len(vocabulary))
        self.to_empty(device="cpu")
        bound = 1 / math.sqrt(hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Score the character after each one read.

        Parameters
        ----------
        x : Tensor
            Numbers of characters, shape (T, B).
        state : (H, C), optional
            The state to go on from, each (layers, B, h); zeros by default.

        Returns
        -------
        o : Tensor
            Scores, the inputs of the softmax, shape (T, B, V).
        state : (H, C)
            The state after the last character.
        """
        X = nn.functional.one_hot(x, len(self.vocabulary)).to(self.head.weight.dtype)
        H, state = self.cell(X, state)  # (T, B, h)
        return self.head(H), state

    @torch.no_grad()
    def surprise(self, text: str, start: int = 1) -> Tensor:
        """Return -ln p of each character of a text from `start` on, in nats.

        Parameters
        ----------
        text : str
            Read from its beginning, the state carried over: all that stands before a
            character has been read.
        start : int
            The first character that is told, at least 1: one must have been read.

        Returns
        -------
        Tensor, `(len(text) - start,)`
            On the CPU.

        Raises
        ------
        ValueError
            If nothing stands before `start` or nothing after it, or the text holds
            characters that the model does not know.
        """
        if not 1 <= start < len(text):
            raise ValueError(
                f"start must lie between 1 and {len(text) - 1}, the last character, "
                f"got {start}"
            )
        numbers = self.encode(text)
        o, _ = self(numbers[:-1, None])  # (T - 1, 1, V)
        o, truth = o[start - 1 :, 0], numbers[start:]
        return nn.functional.cross_entropy(o, truth, reduction="none").cpu()

    def encode(self, text: str) -> Tensor:
        """Turn text into numbers of characters, shape (len(text),).

        Raises
        ------
        ValueError
            If the text is empty or holds characters that the model does not know.
        """
        if not text:
            raise ValueError("the text is empty: give at least one character")
        unknown = sorted(set(text) - set(self.vocabulary))
        if unknown:
            raise ValueError(
                f"the model has never seen {', '.join(map(repr, unknown))}: "
                "leave out what its corpus lacks"
            )
        numbers = [self._index[character] for character in text]
        return torch.tensor(numbers, device=self.head.weight.device)


def save_model(model: CharacterModel, path: str | Path) -> None:
    """Write a model: its weights in half precision, its sizes, its vocabulary.

    Parameters
    ----------
    model : CharacterModel
        The model.
    path : str or Path
        A file, replaced if it exists and left as it was if writing fails.
    """
    saved = {
        "vocabulary": model.vocabulary,
        "hidden_size": model.cell.hidden_size,
        "layers": model.cell.num_layers,
        "weights": {k: v.cpu().half() for k, v in model.state_dict().items()},
    }
    file = Path(path)
    part = file.with_name(file.name + ".part")
    torch.save(saved, part)
    part.replace(file)


def load_model(path: str | Path) -> CharacterModel:
    """Read what `save_model` wrote; nothing in the file is run.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds no character model.
    """
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        model = CharacterModel(
            saved["vocabulary"],
            hidden_size=saved["hidden_size"],
            layers=saved["layers"],
        )
        model.load_state_dict({k: v.float() for k, v in saved["weights"].items()})
    except (KeyError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise ValueError(
            f"{path} holds no character model ({reason}): "
            "give a file that save_model wrote"
        ) from None
    return model
