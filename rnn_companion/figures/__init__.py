"""Every figure of the book, a module a chapter."""
