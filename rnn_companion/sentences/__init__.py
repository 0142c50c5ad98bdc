"""The sentences of pages: which are strong, which are checked, what they quote.

`claims` says what a claim is. Here the claims of a book are loaded and run (`run`),
formulas of a source are put on trial (`formulas`), pages are read for strong sentences
(`pages`) and quotations are looked up in their documents (`quotations`).
"""
