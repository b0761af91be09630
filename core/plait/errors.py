"""The one kind of error that is the user's to mend."""


class InputError(Exception):
    """Something the user gave is wrong.

    The message is one sentence that names the thing, the place and the mend. The command line prints
    it without a traceback and exits with code 2.
    """
