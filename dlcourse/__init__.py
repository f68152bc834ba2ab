"""A deep-learning course: notebooks, checks that emit values, and a judge outside the student's process."""

__version__ = "0.1.0"
