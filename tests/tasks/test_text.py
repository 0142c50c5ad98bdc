"""`text`: corpora that are refused by name, models, sampling, what is memorised."""

import math
import pickle
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rnn_companion import networks
from rnn_companion.cli import main
from rnn_companion.forecasting.experiment import DivergenceError
from rnn_companion.forecasting.records import MissingRecordError, RecordFile
from rnn_companion.tasks.text import (
    CharacterModel,
    Corpus,
    TextRecord,
    TextTraining,
    context_loss,
    load_corpus,
    load_model,
    longest_copy,
    probabilities,
    recorded,
    sample,
    save_model,
    show,
    stream,
    train,
)

RHYME = "the cat sat on the mat, and the rat sat on the hat; that was that.\n" * 40
CORPUS = Corpus(RHYME, name="rhyme")
SMALL = TextTraining(
    length=8, hidden_size=12, layers=2, batch_size=16, steps=12, mark_every=5
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model(**options: int) -> CharacterModel:
    return CharacterModel(CORPUS.vocabulary, hidden_size=12, generator=seeded())


# Corpora ------------------------------------------------------------------------


def test_the_default_corpus_is_pythons_own() -> None:
    corpus = load_corpus()
    assert "generator expression" in corpus.text
    assert corpus.licence == "Python Software Foundation License 2"
    assert len(corpus.text) > 200_000
    assert 80 <= len(corpus.vocabulary) <= 200
    paragraphs = corpus.text.strip().split("\n\n")
    assert len(paragraphs) == len(set(paragraphs))


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "rhyme.txt"
    file.write_bytes(b"\xef\xbb\xbf" + ("naïve " * 300).encode())
    corpus = load_corpus(file)
    assert corpus.text == "naïve " * 300
    assert corpus.name == "rhyme.txt"
    assert corpus.vocabulary == "".join(sorted(set(corpus.text)))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (
            "*** START OF THE PROJECT GUTENBERG EBOOK RHYMES ***",
            "*** END OF THE PROJECT GUTENBERG EBOOK RHYMES ***",
        ),
        (
            "***START OF THIS PROJECT GUTENBERG EBOOK RHYMES***",
            "***END OF THIS PROJECT GUTENBERG EBOOK RHYMES***",
        ),
    ],
)
def test_gutenbergs_licence_is_cut(tmp_path: Path, start: str, end: str) -> None:
    file = tmp_path / "book.txt"
    file.write_text(f"Header\n{start}\n\n{RHYME}\n\n{end}\nFULL LICENSE\n")
    assert load_corpus(file).text == RHYME
    whole = load_corpus(file, cut=False).text
    assert whole.startswith("Header")
    assert whole.endswith("FULL LICENSE\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "corpus.txt is empty: give a text of at least 1000 characters"),
        (b"too short", "corpus.txt has 9 characters: give a text of at least 1000"),
        (b"caf\xe9 " * 400, "corpus.txt: byte 0xe9 at 3 is not UTF-8; save the file"),
    ],
)
def test_what_is_no_corpus_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "corpus.txt"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_corpus(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt"):
        load_corpus(tmp_path / "nowhere.txt")


def test_the_checksum_tells_texts_apart() -> None:
    assert Corpus(RHYME, "a").checksum == CORPUS.checksum
    assert Corpus(RHYME + "x", "a").checksum != CORPUS.checksum


def test_a_split_loses_nothing() -> None:
    learned, held_out = CORPUS.split(0.9)
    assert learned + held_out == RHYME
    assert len(learned) == pytest.approx(0.9 * len(RHYME), abs=1)


# The model ----------------------------------------------------------------------


def test_the_model_is_the_lstm_of_chapter_4() -> None:
    """One-hot inputs, two layers as in `cells`, a linear head."""
    network = model()
    x = network.encode(RHYME[:20]).view(5, 4)
    X = torch.eye(len(CORPUS.vocabulary))[x]
    zeros = torch.zeros(2, 4, 12)
    layers = networks.lstm_parameters(network.cell)
    H, _ = networks.lstm_stack(networks.lstm, X, zeros, zeros, layers)[-1]
    o, _ = network(x)
    torch.testing.assert_close(o, H @ network.head.weight.T + network.head.bias)


def test_the_state_carries_on() -> None:
    network = model()
    x = network.encode(RHYME[:20]).unsqueeze(1)
    whole, _ = network(x)
    first, state = network(x[:7])
    rest, _ = network(x[7:], state)
    torch.testing.assert_close(torch.cat([first, rest]), whole)


def test_a_prompt_with_unknown_characters_is_refused() -> None:
    with pytest.raises(ValueError, match="never seen 'Q', 'é': leave out"):
        stream(model(), "the Qé")
    with pytest.raises(ValueError, match="the text is empty: give at least one"):
        stream(model(), "")


# Sampling -----------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_is_positive(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be a positive number"):
        stream(model(), "the", temperature=temperature)


@settings(deadline=None, max_examples=50)
@given(temperature=st.floats(0.1, 10), seed=st.integers(0, 2**31))
def test_temperature_divides_the_log_odds(temperature: float, seed: int) -> None:
    """`eq-odds`: log p_i/p_j is (z_i - z_j) / temperature, and all p sum to one."""
    o = torch.randn(9, generator=seeded(seed), dtype=torch.float64)
    p = probabilities(o, temperature)
    odds = p.log() - p.log()[0]
    torch.testing.assert_close(odds, (o - o[0]) / temperature)
    torch.testing.assert_close(p.sum().item(), 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_characters_are_drawn_as_often_as_the_softmax_says(temperature: float) -> None:
    """A chi-squared test of 4000 draws, and of the probabilities that come along."""
    network, generator, count = model(), seeded(1), 4000
    network.head.weight.data *= 8  # so that the distribution is not flat
    with torch.no_grad():
        o, _ = network(network.encode("the c").unsqueeze(1))
    expected = torch.softmax(o[-1, 0].double() / temperature, 0)
    written = stream(network, "the c", temperature=temperature, generator=generator)
    character, probability = next(written)
    k = network.vocabulary.index(character)
    assert probability == pytest.approx(expected[k].item(), rel=1e-4)
    counts = torch.zeros_like(expected)
    for _ in range(count):
        written = stream(network, "the c", temperature=temperature, generator=generator)
        counts[network.vocabulary.index(next(written)[0])] += 1
    rare = expected * count < 5  # pooled, as the test demands
    observed = torch.cat([counts[~rare], counts[rare].sum()[None]])
    wanted = torch.cat([expected[~rare], expected[rare].sum()[None]]) * count
    chi_squared = ((observed - wanted) ** 2 / wanted.clamp_min(1e-9)).sum()
    freedom = torch.tensor(len(observed) - 1.0).double()
    tail = torch.special.gammaincc(freedom / 2, chi_squared / 2).item()
    assert 1e-3 < tail < 1 - 1e-3


def test_without_a_temperature_the_likeliest_is_taken() -> None:
    network = model()
    text = "the"
    for character, probability in islice(stream(network, "the", temperature=None), 20):
        with torch.no_grad():
            o, _ = network(network.encode(text).unsqueeze(1))
        p = torch.softmax(o[-1, 0], 0)
        assert character == network.vocabulary[int(p.argmax())]
        assert probability == pytest.approx(p.max().item(), rel=1e-4)
        text += character


def test_what_is_shown_is_what_was_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live and in a built page; only some blanks are line breaks."""
    written = sample(model(), "the", 300)
    for value in ("", "1"):
        monkeypatch.setenv("RNN_COMPANION_BOOK", value)
        show(stream(model(), "the"), 300)
        shown = capsys.readouterr().out
        assert shown.replace("\n", " ")[:-1] == written.replace("\n", " ")
        lines = shown.split("\n")
        assert all(" " not in line[76:] for line in lines)


def test_a_sample_is_its_generators() -> None:
    first, again = (sample(model(), "the", 50, generator=seeded(5)) for _ in range(2))
    other = sample(model(), "the", 50, generator=seeded(6))
    assert len(first) == 50
    assert first == again != other
    assert sample(model(), "the", 50) == sample(model(), "the", 50)


# What it has learned ------------------------------------------------------------


@settings(deadline=None)
@given(
    written=st.text(alphabet="ab\n", max_size=12),
    corpus=st.text(alphabet="ab\n", max_size=30),
)
def test_the_longest_copy_is_the_longest(written: str, corpus: str) -> None:
    """Against trying every passage."""
    passages = [
        written[i:j]
        for i in range(len(written))
        for j in range(i, len(written) + 1)
        if written[i:j] in corpus
    ]
    longest = max(map(len, passages), default=0)
    assert len(longest_copy(written, corpus)) == longest
    assert longest_copy(written, corpus) in passages or not written


def test_context_loss_tells_the_same_characters_with_more_and_more_before() -> None:
    """The loss of one target, computed from the model's own output."""
    network, contexts = model(), (1, 3, 8)
    losses = context_loss(network, RHYME, contexts, count=6)
    targets = torch.randint(8, len(RHYME), (6,), generator=seeded(0)).tolist()
    for row, context in enumerate(contexts):
        for column, target in enumerate(targets):
            read = network.encode(RHYME[target - context : target])
            with torch.no_grad():
                o, _ = network(read.unsqueeze(1))
            p = torch.softmax(o[-1, 0], 0)[network.encode(RHYME[target])]
            assert losses[row, column].item() == pytest.approx(
                -p.log().item(), rel=1e-4
            )


def test_a_text_shorter_than_its_context_is_refused() -> None:
    with pytest.raises(ValueError, match="30 characters has none with 30 before it"):
        context_loss(model(), RHYME[:30])


# Training -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "lion"}, "unknown optimizer 'lion': choose one of adam, sgd"),
        ({"length": 0}, "length must be positive, got 0"),
        ({"temperature": -1.0}, "temperature must be positive, got -1"),
        ({"learning_rate": math.nan}, "learning_rate must be positive, got nan"),
        ({"decay": 1.5}, "decay must be at most 1, got 1.5"),
        ({"training": 2.0}, "training must be at most 1, got 2"),
    ],
)
def test_settings_that_mean_nothing_are_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TextTraining(), **changes)  # type: ignore[arg-type]


def test_a_part_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a part of .* is shorter than a window"):
        train(replace(SMALL, length=400), CORPUS, device="cpu", progress=False)


@pytest.mark.slow
def test_training_is_the_assignments() -> None:
    """Three steps of RMSprop with clipping and decay, written out on their own."""
    settings_ = replace(
        SMALL, steps=3, mark_every=1, decay=0.5, decay_every=2, clip=0.01
    )
    _, record = train(settings_, CORPUS, device="cpu", progress=False)
    network = settings_.model(CORPUS.vocabulary)
    numbers = network.encode(CORPUS.split(0.9)[0])
    windows = seeded(1)
    squares = [torch.zeros_like(p) for p in network.parameters()]
    for step in range(4):
        starts = torch.randint(len(numbers) - 8, (16,), generator=windows)
        batch = torch.stack([numbers[s : s + 9] for s in starts.tolist()], 1)
        o, _ = network(batch[:-1])
        loss = -o.log_softmax(-1).gather(2, batch[1:].unsqueeze(2)).mean()
        assert record.marks[step].loss == pytest.approx(loss.item(), rel=1e-3)
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        norm = torch.cat([g.flatten() for g in gradients]).norm()
        rate = 2e-3 * (0.5 if step == 2 else 1)
        for p, g, s in zip(network.parameters(), gradients, squares, strict=True):
            g = g * min(1.0, 0.01 / (norm.item() + 1e-6))
            s.mul_(0.99).add_(0.01 * g**2)
            p.data -= rate * g / (s.sqrt() + 1e-8)


@pytest.mark.slow
def test_the_loss_starts_near_ln_V() -> None:
    """`eq-text-start`: nearly equal scores cost ln V."""
    _, record = train(SMALL, CORPUS, device="cpu", progress=False)
    assert record.marks[0].step == 0
    assert record.marks[0].loss == pytest.approx(
        math.log(record.vocabulary_size), rel=0.05
    )


@pytest.mark.slow
def test_training_learns_a_rhyme() -> None:
    training = replace(
        SMALL, hidden_size=32, steps=300, mark_every=150, learning_rate=0.01
    )
    network, record = train(training, CORPUS, device="cpu", progress=False)
    first, *_, last = record.marks
    assert last.loss < 0.7 < 2 < first.loss
    assert last.validation_loss is not None
    assert last.validation_loss < 0.7
    assert last.context_loss[-1] < last.context_loss[0]
    assert "the" in sample(network, "th", 40, temperature=0.5)


@pytest.mark.slow
def test_marks_and_curve_say_what_was_run() -> None:
    _, record = train(SMALL, CORPUS, device="cpu", progress=False)
    assert [mark.step for mark in record.marks] == [0, 5, 10, 12]
    assert len(record.training_loss) == len(record.training_accuracy) == 2  # 10 + 2
    assert record.vocabulary_size == len(CORPUS.vocabulary)
    assert record.provenance.checksum == CORPUS.checksum
    assert all(mark.written and len(mark.written) == 30 for mark in record.marks)


@pytest.mark.slow
def test_a_private_corpus_leaves_no_text_in_the_record() -> None:
    _, record = train(SMALL, CORPUS, device="cpu", progress=False, private=True)
    assert all(mark.written is None for mark in record.marks)
    assert "cat" not in record.to_json()


@pytest.mark.slow
def test_equal_settings_give_equal_models() -> None:
    (_, first), (_, again) = (
        train(SMALL, CORPUS, device="cpu", progress=False) for _ in range(2)
    )
    _, other = train(replace(SMALL, seed=1), CORPUS, device="cpu", progress=False)
    assert first.marks == again.marks
    assert first.marks != other.marks


@pytest.mark.slow
def test_without_held_out_text_there_is_no_validation() -> None:
    _, record = train(
        replace(SMALL, training=1.0), CORPUS, device="cpu", progress=False
    )
    assert {mark.validation_loss for mark in record.marks} == {None}


def test_a_loss_that_is_not_finite_says_where() -> None:
    with pytest.raises(DivergenceError, match=r"(nan|inf) at step 1: try a learning"):
        train(replace(SMALL, learning_rate=1e38), CORPUS, device="cpu", progress=False)


def test_temperature_in_training_only_rescales() -> None:
    """`eq-text-reparametrised`: head / tau and its rate / tau^2 do the same to SGD."""
    tau, eta, losses = 0.5, 0.1, []
    for divided in (False, True):
        network = model().double()
        rate, outside = eta, tau
        if divided:
            for parameter in network.head.parameters():
                parameter.data /= tau
            rate, outside = eta / tau**2, 1.0
        head = {"params": network.head.parameters(), "lr": rate}
        optimizer = torch.optim.SGD(network.cell.parameters(), lr=eta)
        optimizer.add_param_group(head)
        x = network.encode(RHYME[:200]).view(-1, 8)
        course = []
        for _ in range(20):
            o, _ = network(x[:-1])
            loss = nn.functional.cross_entropy(
                o.flatten(0, 1) / outside, x[1:].flatten()
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            course.append(loss.item())
        losses.append(course)
    assert losses[0] == pytest.approx(losses[1], rel=1e-10)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.slow
def test_a_record_survives_its_json() -> None:
    _, record = train(SMALL, CORPUS, device="cpu", progress=False)
    assert TextRecord.from_json(record.to_json()) == record


@pytest.mark.slow
def test_a_record_is_found_by_settings_text_and_version(tmp_path: Path) -> None:
    file = tmp_path / "text.jsonl"
    _, record = train(SMALL, CORPUS, device="cpu", progress=False)
    RecordFile(file, TextRecord).append(record)
    for data in (CORPUS.checksum, CORPUS.name):
        assert recorded(file, SMALL, data) == record
    for training, data in ((SMALL, "prose"), (replace(SMALL, seed=1), CORPUS.name)):
        with pytest.raises(MissingRecordError, match=r"text train .*--record"):
            recorded(file, training, data)
    old = replace(record, provenance=replace(record.provenance, results=0))
    RecordFile(tmp_path / "old.jsonl", TextRecord).append(old)
    with pytest.raises(MissingRecordError, match="lacks 1 of 1 records, of version"):
        recorded(tmp_path / "old.jsonl", SMALL, CORPUS.name)


@pytest.mark.parametrize("line", ["", "{}", "[]", '{"marks": [], "provenance": {}}'])
def test_a_line_that_is_no_record_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a record of the kind 'text'"):
        TextRecord.from_json(line)


# Files --------------------------------------------------------------------------


def test_a_saved_model_continues_the_same_sample(tmp_path: Path) -> None:
    network = model()
    for parameter in network.parameters():  # what half precision can hold
        parameter.data = parameter.data.half().float()
    generator = seeded(3)
    first = sample(network, "the cat", 40, generator=generator)
    middle = generator.get_state()
    second = sample(network, "the cat" + first, 40, generator=generator)
    save_model(network, tmp_path / "model.pt")
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]
    loaded = load_model(tmp_path / "model.pt")
    generator.set_state(middle)
    assert sample(loaded, "the cat" + first, 40, generator=generator) == second
    assert sample(loaded, "the cat", 80, generator=seeded(3)) == first + second


def test_half_precision_hardly_changes_a_model(tmp_path: Path) -> None:
    network = model()
    save_model(network, tmp_path / "model.pt")
    loaded = load_model(tmp_path / "model.pt")
    x = network.encode(RHYME[:50]).unsqueeze(1)
    torch.testing.assert_close(loaded(x)[0], network(x)[0], rtol=0, atol=2e-3)


class Trap:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (Path("trap sprung"),))


def test_no_code_in_a_file_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "model.pt"
    for content in (
        lambda: torch.save(Trap(), file),
        lambda: file.write_bytes(pickle.dumps(Trap(), 2)),
    ):
        content()
        with pytest.raises(ValueError, match=r"model\.pt holds no character model"):
            load_model(file)
    assert not (tmp_path / "trap sprung").exists()


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "model.pt"
    if content is None:
        torch.save({"vocabulary": "abc"}, file)
    else:
        file.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"holds no character model .*save_model wrote"
    ):
        load_model(file)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pt"):
        load_model(tmp_path / "nowhere.pt")


# The command --------------------------------------------------------------------


def test_the_command_trains_keeps_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book, out, record = (tmp_path / n for n in ("book.txt", "book.pt", "text.jsonl"))
    book.write_text(RHYME)
    train_ = ["text", "train", str(book), "--out", str(out), "--record", str(record)]
    train_ += ["--steps", "3", "--hidden", "8", "--device", "cpu", "--private"]
    assert main(train_) == 0
    assert "the model is in" in capsys.readouterr().out
    (kept,) = RecordFile(record, TextRecord).read()
    assert kept.settings["hidden_size"] == 8
    assert "cat" not in record.read_text()
    write = ["text", "sample", str(out), "--prompt", "the cat", "--count", "25"]
    assert main(write) == 0
    expected = sample(load_model(out), "the cat", 25, generator=seeded(0))
    assert capsys.readouterr().out == expected + "\n"
    assert main([*write, "--greedy"]) == 0
    greedy = sample(load_model(out), "the cat", 25, temperature=None)
    assert capsys.readouterr().out == greedy + "\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["text", "train", "nowhere.txt", "--out", "x.pt"], "nowhere.txt: No such"),
        (["text", "sample", "nowhere.pt", "--prompt", "a"], "nowhere.pt: No such"),
        (["text", "sample", "MODEL", "--prompt", "Q"], "never seen 'Q'"),
        (["text", "sample", "MODEL", "--prompt", ""], "the text is empty"),
        (
            ["text", "sample", "MODEL", "--prompt", "a", "--temperature", "0"],
            "temperature must be a positive number, got 0.0",
        ),
    ],
)
def test_the_command_says_what_is_wrong(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    file = tmp_path / "model.pt"
    save_model(model(), file)
    assert main([str(file) if a == "MODEL" else a for a in arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


# What the chapter rests on ------------------------------------------------------

RECORDS = Path(__file__).parents[2] / "book" / "records"


@pytest.mark.slow
def test_the_recorded_model_is_the_records() -> None:
    """Its loss by context, against the last mark's, on a Python of that edition."""
    corpus = load_corpus()
    record = recorded(RECORDS / "text.jsonl", TextTraining(), corpus.name)
    network = load_model(RECORDS / "text.pt")
    _, held_out = corpus.split(record.settings["training"])
    known = "".join(c for c in held_out if c in network.vocabulary)
    losses = context_loss(network, known).mean(1).tolist()
    same = record.provenance.checksum == corpus.checksum
    assert losses == pytest.approx(
        record.marks[-1].context_loss, abs=0.01 if same else 0.5
    )


@pytest.mark.slow
def test_the_recorded_training_begins_as_it_would_now() -> None:
    corpus = load_corpus()
    record = recorded(RECORDS / "text.jsonl", TextTraining(), corpus.name)
    training = TextTraining(**{**record.settings, "steps": 10, "mark_every": 10})
    _, now = train(training, corpus, device="cpu", progress=False)
    same = record.provenance.checksum == corpus.checksum
    assert now.training_loss == pytest.approx(
        record.training_loss[:1], abs=0.01 if same else 0.5
    )


def test_nothing_of_the_private_book_is_in_its_record() -> None:
    for optimizer in ("rmsprop", "adam"):
        training = TextTraining(optimizer=optimizer, training=1.0)
        name = "grimms_fairy_tales.txt"
        record = recorded(RECORDS / "text.jsonl", training, name)
        assert {mark.written for mark in record.marks} == {None}
        assert [mark.step for mark in record.marks] == list(range(0, 3201, 400))
