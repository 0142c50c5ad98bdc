"""The subcommand ``text``: train a character model, let it write.

What a command needs is imported only when it runs.
"""

import argparse

DEFAULT = "default: %(default)s"


def add_text(parser: argparse.ArgumentParser) -> None:
    """Train a character model on a text, or let one write."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_train(actions.add_parser("train", help="train a model and keep it"))
    _add_sample(actions.add_parser("sample", help="let a model write"))


def _add_train(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", nargs="?", help="a UTF-8 text; by default Python's own help texts")
    add("--out", required=True, metavar="MODEL.pt", help="where the model is kept")
    add("--record", metavar="RECORDS.jsonl", help="also keep a record of the training")
    add("--private", action="store_true", help="no text of the model in the record")
    add("--whole", action="store_true", help="with Project Gutenberg's licence, if any")
    add("--steps", type=int, default=3200, help=DEFAULT)
    add("--hidden", type=int, default=128, help="units a layer; default: %(default)s")
    add("--layers", type=int, default=2, help=DEFAULT)
    add("--learning-rate", type=float, default=2e-3, help=DEFAULT)
    add("--training", type=float, default=0.9, help="share to learn; %(default)s")
    add("--seed", type=int, default=0, help=DEFAULT)
    add("--device", default="auto", help="such as cpu or cuda:1; default: %(default)s")
    parser.set_defaults(run=run_train)


def run_train(settings: argparse.Namespace) -> int:
    """Run `text train`."""
    from rnn_companion.forecasting.records import RecordFile
    from rnn_companion.tasks import text

    training = text.TextTraining(
        steps=settings.steps,
        hidden_size=settings.hidden,
        layers=settings.layers,
        learning_rate=settings.learning_rate,
        training=settings.training,
        seed=settings.seed,
    )
    corpus = text.load_corpus(settings.file, cut=not settings.whole)
    model, record = text.train(
        training, corpus, device=settings.device, private=settings.private
    )
    text.save_model(model, settings.out)
    if settings.record:
        RecordFile(settings.record, text.TextRecord).append(record)
    last = record.marks[-1]
    loss = f"loss {last.mean_loss}"
    if last.validation_loss is not None:
        loss += f", held out {last.validation_loss}"
    print(f"{loss}; the model is in {settings.out}")
    return 0


def _add_sample(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="MODEL.pt", help="from `text train`")
    add("--prompt", required=True, help="what it reads first")
    add("--count", type=int, default=1500, help="characters; default: %(default)s")
    add("--temperature", type=float, default=1.0, help=DEFAULT)
    add("--greedy", action="store_true", help="always the likeliest character")
    add("--seed", type=int, default=0, help=DEFAULT)
    parser.set_defaults(run=run_sample)


def run_sample(settings: argparse.Namespace) -> int:
    """Run `text sample`; characters come as they are drawn."""
    import torch

    from rnn_companion.tasks import text

    written = text.stream(
        text.load_model(settings.model),
        settings.prompt,
        temperature=None if settings.greedy else settings.temperature,
        generator=torch.Generator().manual_seed(settings.seed),
    )
    text.show(written, settings.count)
    return 0
