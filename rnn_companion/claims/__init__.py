r"""Sentences that are checked.

A claim is a sentence with evidence: a function whose docstring is the sentence, which
looks at data and returns a `Finding`. `on` gathers the data, `planted` changes them so
that the sentence would be false, and the check must then say so::

    @claim(on=rates, planted=[swapped])
    def small_steps_help(rates: tuple[Tensor, Tensor]) -> Finding:
        \"\"\"With the smaller step more seeds learn 20 digits.\"\"\"
        small, large = rates
        return sign_test(small - large, "palindromes of 20 digits, both rates")

A chapter ends such a sentence with ``<!-- claim: small-steps-help -->``. The build runs
the check, asks that the sentence on the page is the docstring, and marks it. `quoted`
makes a claim of a source in the same way; its verdict need not be *holds*.

The claims of a book are found in the Python files of ``book/claims/``; the room
`sentences` runs them. ``rnn-companion claims`` does so on the command line, plants the
falsehoods, lists strong sentences without a mark, and verifies quotations.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
