"""Homework from the chapters: handed out, collected, graded.

A chapter's section *Exercises* is an assignment: `markup` reads it, `release` hands
it out, `collect` takes it in, `grade` runs it in a `sandbox` and `report` tells the
students and the teacher. It needs the extra ``teach``; students need nothing.
"""
