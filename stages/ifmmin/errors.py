"""The mistakes that a person can mend."""


class UserError(ValueError):
    """Something that a user, not the program, has to put right.

    One line for each fault: what, where, expected, remedy.
    """


def one_line(error: BaseException) -> str:
    """Say in one line, without its final stop, what an error says."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:160].rstrip(".")
