"""Errors that the user can fix."""


class UserError(ValueError):
    """An error that the user can fix, such as an invalid file or setting.

    The message has one line per error: where, what is wrong, what was expected, what to do.
    """


def one_line(error: BaseException) -> str:
    """The message of an error on one line, at most 160 characters, without the final full stop."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:160].rstrip(".")
