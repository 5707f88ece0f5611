"""The mistakes that a person can mend."""


class UserError(ValueError):
    """Something that a user, not the program, has to put right.

    One line for each fault: what, where, expected, remedy.
    """
