"""Figures carry their words, and move in a page without a kernel."""

import base64
import json
import re
from collections.abc import Iterator
from html import escape
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbclient
import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from rnn_companion.figures.frames import MOST_FRAMES, Frames, Picture
from rnn_companion.figures.style import COLORS, LINES, figure, style

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@figure
def lines(steps: int = 1, cell: str = "RNN", own: str = "") -> Figure:
    if own == "bad":
        raise ValueError("'bad' is not a list of numbers")
    fig, ax = plt.subplots()
    for slope in range(4):
        ax.plot([0, slope * steps], label=f"{cell} {slope}")
    ax.set(xlabel="time", ylabel="state", title=cell)
    return fig


def words(steps: int = 1, cell: str = "RNN", own: str = "") -> str:
    return f'{steps} steps of the "{cell}" <drawn> {own}'.strip()


def frames(**changes: Any) -> Frames:  # noqa: ANN401 - any setting
    settings: dict[str, Any] = {
        "draw": lines,
        "controls": {"steps": [1, 2, 3], "cell": ["RNN", "LSTM"]},
        "alt": words,
        "caption": "Steps of a cell.",
    }
    return Frames(**{**settings, **changes})


@pytest.fixture
def in_book(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNN_COMPANION_BOOK", "1")


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RNN_COMPANION_BOOK", raising=False)


class _Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag == name]


def test_a_picture_serves_page_pdf_and_terminal() -> None:
    bundle = Picture(
        lines(), 'Four "lines" < five', "Lines & words."
    )._repr_mimebundle_()
    (img,) = _Tags(bundle["text/html"]).all("img")
    assert img["alt"] == 'Four "lines" < five' == bundle["text/plain"]
    assert "<figcaption>Lines &amp; words.</figcaption>" in bundle["text/html"]
    assert img["src"] == f"data:image/png;base64,{bundle['image/png']}"
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")


@pytest.mark.parametrize("missing", ["alt", "caption"])
def test_a_picture_without_words_is_refused(missing: str) -> None:
    given = {"alt": "Four lines", "caption": "Lines.", missing: " "}
    with pytest.raises(ValueError, match=f"needs its {missing}"):
        Picture(lines(), **given)


def test_the_small_palette_changes_no_pixel_to_the_eye() -> None:
    drawn = BytesIO()
    fig = lines()
    with style():
        fig.savefig(drawn, format="png", dpi=150)
    true = np.asarray(Image.open(drawn).convert("RGB"), dtype=float)
    small = Picture(fig, "Four lines", "Lines.").png
    shown = np.asarray(Image.open(BytesIO(small)).convert("RGB"), dtype=float)
    assert np.abs(true - shown).mean() < 1.0  # of 255
    assert len(small) < len(drawn.getvalue())


def test_the_style_leaves_the_readers_settings_alone() -> None:
    before = dict(mpl.rcParams)
    lines()
    assert dict(mpl.rcParams) == before


def test_the_readers_settings_leave_the_style_alone() -> None:
    plain = Picture(lines(), "Four lines", "Lines.").png
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert Picture(lines(), "Four lines", "Lines.").png == plain


def test_steady_frames_keep_the_first_ones_axes(in_book: None) -> None:
    """A state that needs less room than the first one is drawn in the same place."""

    @figure
    def wide(digits: int) -> Figure:
        fig, ax = plt.subplots()
        ax.set_yticks([0, 1], ["0" * digits] * 2)
        fig.suptitle("a title")
        return fig

    def left_edge(png: str) -> int:
        data = base64.b64decode(png.partition(",")[2])
        dark = np.asarray(Image.open(BytesIO(data)).convert("L"))[150:-150] < 100
        return int(dark.mean(0).argmax())  # the column of the left spine

    shown = {"draw": wide, "controls": {"digits": [3, 1]}, "alt": lambda digits: "."}
    still, moving = (
        [left_edge(png) for png in _pngs(frames(**shown, steady=s))]
        for s in (True, False)
    )
    assert still[0] == still[1] == moving[0] > moving[1] + 10


def _pngs(shown: Frames) -> list[str]:
    html = shown._repr_mimebundle_()["text/html"]
    match = re.search(r"const frames = (.*);", html)
    assert match is not None
    uris: list[str] = json.loads(match[1])
    return uris


def test_a_figure_is_shown_once() -> None:
    before = plt.get_fignums()
    lines()
    assert plt.get_fignums() == before


def test_lines_differ_without_colour() -> None:
    assert len(set(LINES)) == len(LINES) == len(COLORS)


@pytest.mark.slow
@pytest.mark.usefixtures("in_book")
def test_every_state_is_in_the_page() -> None:
    html = frames()._repr_mimebundle_()["text/html"]
    found = re.search(r"const alts = (.*);", html)
    assert found is not None
    assert json.loads(found[1]) == [
        words(s, c) for s in (1, 2, 3) for c in ("RNN", "LSTM")
    ]
    assert len(set(re.findall(r"data:image/png;base64,[\w+/=]+", html))) == 6


@pytest.mark.slow
@pytest.mark.usefixtures("in_book")
def test_the_first_frame_stands_without_scripts_and_in_print() -> None:
    bundle = frames()._repr_mimebundle_()
    (img,) = _Tags(bundle["text/html"]).all("img")
    assert img["alt"] == words(1, "RNN") == bundle["text/plain"]
    assert img["src"] == f"data:image/png;base64,{bundle['image/png']}"
    assert 'class="frames-controls" hidden' in bundle["text/html"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"controls": {}}, "0 states"),
        ({"controls": {"steps": []}}, "'steps' has no values"),
        ({"controls": {"steps": range(MOST_FRAMES + 1)}}, "151 states"),
        ({"live": {"cell": "GRU"}}, "'cell' stands in controls and in live"),
        ({"caption": ""}, "needs its caption"),
    ],
)
def test_what_frames_refuse(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frames(**changes)


@pytest.mark.usefixtures("live")
def test_a_live_notebook_gets_widgets_and_the_readers_own_values() -> None:
    moving = frames(live={"own": "0.5 1"})
    widget = moving._widget()
    names = [w.description for w in widget.children[:-1]]
    assert names == ["steps", "cell", "own"]
    assert widget.result.alt == words(1, "RNN", "0.5 1")
    widget.children[0].value = 3
    widget.children[2].value = "7"
    assert widget.result.alt == words(3, "RNN", "7")
    assert "application/vnd.jupyter.widget-view+json" in moving._repr_mimebundle_()


CELLS = (
    """import matplotlib.pyplot as plt
from rnn_companion.figures.frames import Frames

def draw(steps, own="1"):
    float(own)
    fig, ax = plt.subplots()
    ax.plot([0, steps])
    return fig

def words(steps, own="1"):
    return f"{steps} steps, {own}"

frames = Frames(draw, {"steps": [1, 2]}, words, "Steps.", live={"own": "1"})
frames""",
    "frames._widget().children[0].value = 2",
    "frames._widget().children[1].value = 'two'",
)


@pytest.mark.slow
@pytest.mark.usefixtures("live")
def test_a_notebook_shows_the_picture_below_the_sliders() -> None:
    """What a browser gets to draw: the outputs of each widget of the notebook."""
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=120).execute()
    widgets = notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]
    shown = [
        widget["state"]["outputs"]
        for widget in widgets["state"].values()
        if widget["model_name"] == "OutputModel"
    ]
    pages = [output["data"]["text/html"] for (output,) in shown]
    assert [_Tags(page).all("img")[0]["alt"] for page in pages[:2]] == [
        "1 steps, 1",
        "2 steps, 1",
    ]
    assert pages[2].startswith('<p role="alert">could not convert')
    (cell,) = notebook.cells[0].outputs
    assert "application/vnd.jupyter.widget-view+json" in cell["data"]


@pytest.mark.usefixtures("live")
def test_a_bad_value_is_answered_in_words() -> None:
    widget = frames(live={"own": "bad"})._widget()
    assert widget.result._repr_html_() == (
        '<p role="alert">&#x27;bad&#x27; is not a list of numbers</p>'
    )


@pytest.fixture
def page(
    browser: "Browser", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator["Page"]:
    """Two figures on one page, opened from a file."""
    monkeypatch.setenv("RNN_COMPANION_BOOK", "1")
    one = frames()
    two = frames(controls={"steps": [4, 5]})
    html = "".join(f._repr_mimebundle_()["text/html"] for f in (one, two))
    file = tmp_path / "page.html"
    file.write_text(
        f"<!doctype html><meta charset=utf-8><body>{html}"
        "<script>addEventListener('keydown', () => window.heard = true)</script>",
        encoding="utf-8",
    )
    opened = browser.new_page()
    opened.goto(file.as_uri())
    yield opened
    opened.close()


@pytest.mark.browser
def test_the_arrow_keys_move_one_figure_and_nothing_else(page: "Page") -> None:
    first, second = page.locator("figure.frames").all()
    img, still = first.locator("img"), second.locator("img")
    shown, other = img.get_attribute("src"), still.get_attribute("src")
    first.locator("input").focus()
    page.keyboard.press("ArrowRight")
    assert img.get_attribute("alt") == words(2, "RNN")
    assert img.get_attribute("src") != shown
    assert first.locator("output").inner_text() == "2"
    assert first.locator("input").get_attribute("aria-valuetext") == "2"
    assert first.locator("[aria-live]").text_content() == words(2, "RNN")
    assert still.get_attribute("src") == other
    assert page.evaluate("window.heard") is None  # Jupyter would take the arrow keys


@pytest.mark.browser
def test_a_choice_in_words_moves_the_figure(page: "Page") -> None:
    first = page.locator("figure.frames").first
    first.locator("input").focus()
    page.keyboard.press("End")
    first.get_by_label("cell").select_option("LSTM")
    assert first.locator("img").get_attribute("alt") == words(3, "LSTM")


def test_controls_start_where_they_are_told_to(in_book: None) -> None:
    shown = frames(start={"steps": 2, "cell": "LSTM"})
    page = shown._repr_mimebundle_()["text/html"]
    assert 'value="1" step="1"> <output>2</output>' in page
    assert '<option value="1" selected>LSTM</option>' in page
    assert f'alt="{escape(words(2, "LSTM"))}"' in page.split("<script>")[0]


def test_a_control_that_cannot_start_there_is_refused() -> None:
    with pytest.raises(ValueError, match="'steps' cannot start at 9"):
        frames(start={"steps": 9})
