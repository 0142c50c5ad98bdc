"""Figures that say what they show, and figures to move by hand.

A `Picture` is a matplotlib figure with its alternative text and its caption. A
`Frames` is one that the reader moves: in a live notebook its controls are
ipywidgets that draw anew; in the built book, where no kernel runs, every state
is drawn beforehand and a plain HTML slider goes through them.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from io import BytesIO
from itertools import product
from math import prod
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rnn_companion.figures.style import figure, style

BOOK = "RNN_COMPANION_BOOK"  # set in the environment while the book is built
WIDGET = "application/vnd.jupyter.widget-view+json"
MOST_FRAMES = 150  # about 10 KB each, all of them in the page
_DPI = 150
_COLOURS = 128

Bundle = dict[str, Any]


@dataclass(frozen=True)
class Picture:
    """A figure with the words that a reader who cannot see it needs.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What is shown.
    alt : str
        What the figure shows, in words.
    caption : str
        Printed below it. Plain text, without mathematics.

    Raises
    ------
    ValueError
        If the alternative text or the caption is empty.
    """

    figure: Figure
    alt: str
    caption: str

    def __post_init__(self) -> None:
        _check_words(alt=self.alt, caption=self.caption)

    @cached_property
    def png(self) -> bytes:
        """The figure as a PNG of at most 128 colours, a third of the size."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        canvas, small = FigureCanvasAgg(self.figure), BytesIO()
        self.figure.set_dpi(_DPI)
        with style():
            canvas.draw()  # `savefig` would draw twice
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        method, none = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE  # half the time
        few = image.quantize(_COLOURS, method=method, dither=none)
        few.save(small, format="png", optimize=True, dpi=(_DPI, _DPI))
        return small.getvalue()

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return _bundle(self, _img(self.png, self.alt))


@dataclass(frozen=True)
class Frames:
    """A figure to move by hand.

    Parameters
    ----------
    draw : callable
        ``draw(**values)`` returns a matplotlib figure for one state.
    controls : mapping of str to sequence
        The values that each control can take, the first one first. Numbers make
        a slider, anything else a list to choose from. A name is shown with its
        underscores as spaces.
    alt : callable
        ``alt(**values)`` says in words what ``draw(**values)`` shows.
    caption : str
        Printed below the figure. Plain text, without mathematics.
    live : mapping of str to object, optional
        More controls, for the reader's own values, in a live notebook only:
        whatever `ipywidgets.interactive` takes (a text, a ``(low, high, step)``,
        a widget). `draw` and `alt` get them as further keyword arguments and
        need a default for each. A ValueError that `draw` raises about a value
        is shown in place of the figure.
    steady : bool
        Whether axes and titles of all states in the built book stand where the first
        one's do, which is a fifth faster. Only where no state needs more room.
    start : mapping of str to object, optional
        The value at which a control stands at first; the first of its values by
        default.

    Raises
    ------
    ValueError
        If the caption is empty, a control has no values or does not have the one it
        should start at, a name stands in both `controls` and `live`, or there are
        more states than a page can hold.
    """

    draw: Callable[..., Figure]
    controls: Mapping[str, Sequence[Any]]
    alt: Callable[..., str]
    caption: str
    live: Mapping[str, Any] = field(default_factory=dict)
    steady: bool = False
    start: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_words(caption=self.caption)
        for name, values in self.controls.items():
            if len(values) == 0:
                raise ValueError(f"The control {name!r} has no values to choose from.")
            if name in self.live:
                raise ValueError(f"The name {name!r} stands in controls and in live.")
        for name, value in self.start.items():
            if value not in self.controls.get(name, ()):
                raise ValueError(f"The control {name!r} cannot start at {value!r}.")
        counts = [len(values) for values in self.controls.values()]
        count = prod(counts) if counts else 0
        if not 1 <= count <= MOST_FRAMES:
            raise ValueError(
                f"The controls make {count} states; a page can hold 1 to {MOST_FRAMES}."
            )

    def picture(self, **values: object) -> Picture:
        """Draw one state.

        Parameters
        ----------
        **values
            One value for each control, and any of the `live` ones.

        Returns
        -------
        Picture
        """
        shown = figure(self.draw)(**values)
        return Picture(shown, self.alt(**values), self.caption)

    def states(self) -> list[dict[str, Any]]:
        """Every combination of the controls, the last control moving fastest."""
        states = product(*self.controls.values())
        return [dict(zip(self.controls, state, strict=True)) for state in states]

    def _first(self) -> dict[str, Any]:
        """Return the state that is shown at first."""
        return {n: self.start.get(n, values[0]) for n, values in self.controls.items()}

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        if os.environ.get(BOOK):
            return self._static()
        model = self._widget().model_id
        view = {"version_major": 2, "version_minor": 0, "model_id": model}
        return {WIDGET: view, "text/plain": self.caption}

    def _widget(self) -> Any:  # noqa: ANN401 - ipywidgets has no types
        from IPython.display import HTML
        from ipywidgets import interactive

        def show(**values: object) -> object:
            try:
                return self.picture(**values)
            except ValueError as problem:
                words = f'<p role="alert">{escape(str(problem))}</p>'
                return HTML(words)  # type: ignore[no-untyped-call]

        at = self._first()
        controls = {n: _live_control(n, v, at[n]) for n, v in self.controls.items()}
        shown = {"auto_display": True}  # else the sliders come without the picture
        widget = interactive(show, shown, **controls, **self.live)
        if widget.result is None:  # ipywidgets 7 draws only what it displays itself
            widget.update()
        return widget

    def _static(self) -> Bundle:
        states, at = self.states(), self._first()
        pictures = [self.picture(**state) for state in states]
        first = pictures[states.index(at)]
        shown = _img(first.png, first.alt) + _SPOKEN
        for other in pictures if self.steady else ():
            if other is not first:
                _lay_out(other.figure, first.figure)
        boxes = "".join(_static_control(n, v, at[n]) for n, v in self.controls.items())
        script = _SCRIPT % {
            "frames": _json([_data_uri(p.png) for p in pictures]),
            "alts": _json([p.alt for p in pictures]),
            "labels": _json([[_label(v) for v in vs] for vs in self.controls.values()]),
        }
        body = f'<div class="frames-controls" hidden>{boxes}</div>{shown}'
        return _bundle(first, body, script, kind="frames")


def _lay_out(shown: Figure, like: Figure) -> None:
    """Put the axes and texts of a figure where those of a drawn one are."""
    shown.set_layout_engine("none")
    for ax, place in zip(shown.axes, like.axes, strict=True):
        ax.set_position(place.get_position(original=True))
    for text, at in zip(shown.texts, like.texts, strict=True):
        text.set_position(at.get_position())


def _check_words(**words: str) -> None:
    for name, text in words.items():
        if not text.strip():
            raise ValueError(f"A figure needs its {name}: say in words what it shows.")


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _img(png: bytes, alt: str) -> str:
    width = int.from_bytes(png[16:20], "big") * 100 // _DPI  # from the PNG header
    return (
        f'<img src="{_data_uri(png)}" alt="{escape(alt)}" width="{width}" '
        'style="max-width:100%;height:auto;background:white">'
    )


def _bundle(
    shown: Picture, body: str, script: str = "", kind: str = "picture"
) -> Bundle:
    """Serve a picture to a page, to a PDF and to a terminal."""
    html = (
        f'<figure class="{kind} mathjax_ignore" style="margin:1em 0" '
        f'onkeydown="event.stopPropagation()">{body}'
        f"<figcaption>{escape(shown.caption)}</figcaption>{script}</figure>"
    )
    png = base64.b64encode(shown.png).decode()
    return {"text/html": html, "image/png": png, "text/plain": shown.alt}


def _label(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _live_control(name: str, values: Sequence[Any], at: Any) -> Any:  # noqa: ANN401
    import ipywidgets

    slides = _are_numbers(values)
    kind = ipywidgets.SelectionSlider if slides else ipywidgets.Dropdown
    options = [(_label(v), v) for v in values]
    return kind(options=options, value=at, description=name.replace("_", " "))


def _static_control(name: str, values: Sequence[Any], at: object) -> str:
    label, n = escape(name.replace("_", " ")), values.index(at)
    if _are_numbers(values):
        return (
            f'<label>{label} <input type="range" min="0" max="{len(values) - 1}" '
            f'value="{n}" step="1"> <output>{_label(at)}</output></label> '
        )
    labels = enumerate(escape(_label(value)) for value in values)
    options = "".join(
        f'<option value="{i}"{" selected" * (i == n)}>{text}</option>'
        for i, text in labels
    )
    return f"<label>{label} <select>{options}</select></label> "


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


# Read out when a frame changes, and out of sight: the picture says it to the eye.
_SPOKEN = (
    '<p class="frames-spoken" aria-live="polite" style="position:absolute;width:1px;'
    'height:1px;margin:0;overflow:hidden;clip-path:inset(50%);white-space:nowrap"></p>'
)

# Without scripts the controls stay hidden and the first frame stands.
_SCRIPT = """<script>
(() => {
  const box = document.currentScript.closest("figure");
  const frames = %(frames)s;
  const alts = %(alts)s;
  const labels = %(labels)s;
  const inputs = [...box.querySelectorAll("input, select")];
  const img = box.querySelector("img");
  const spoken = box.querySelector(".frames-spoken");
  const show = (moved) => {
    const at = inputs.reduce((n, input, i) => n * labels[i].length + +input.value, 0);
    img.src = frames[at];
    img.alt = alts[at];
    if (moved) spoken.textContent = alts[at];
    inputs.forEach((input, i) => {
      if (input.type !== "range") return;
      const label = labels[i][input.value];
      input.setAttribute("aria-valuetext", label);
      input.nextElementSibling.textContent = label;
    });
  };
  inputs.forEach((input) => input.addEventListener("input", () => show(true)));
  box.querySelector(".frames-controls").hidden = false;
  show(false);
})();
</script>"""
