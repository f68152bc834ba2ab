"""Errors that a person can act on."""


class CourseError(Exception):
    """A user's mistake or a missing thing: the message says what, where and what to do. Shown without a traceback."""
