"""Handing in: the rules a notebook is checked against, the package a learner makes of it, the downloads of a class.

The way of the data: `settings` (the course's choice) → `release` writes it into the released notebook as a `sheet` →
`rules` checks a notebook against its sheet → `pack` makes PDF, notebooks and ZIP; `collect` brings them back.
"""
