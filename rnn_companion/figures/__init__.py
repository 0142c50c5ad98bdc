"""Every figure of the book: a module a chapter, and what they share.

`draw` draws curves, nodes and arrows, `style` says how a figure looks, and `frames`
gives it its words and lets a reader move it.
"""
