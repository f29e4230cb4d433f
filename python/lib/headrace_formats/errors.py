"""What is wrong with files.

InvalidInput (headrace_model)
└── FormatError         a file is not what it should be, or can't be read safely
"""

from headrace_model.errors import InvalidInput


class FormatError(InvalidInput):
    """A file is not of the format that is wanted, or can't be read safely.

    The message names the file, the place in it (variable or line) and what is wrong.
    """

    code = "INVALID_FORMAT"
