"""One tree of errors. A message is one line: what, where, what to do.

`InputError` and its children are the user's to mend (exit status 2, no traceback); every other
`PochoirError` is a failure of the work itself (exit status 1).
"""


def printable(text: str) -> str:
    """A text in one line that no terminal obeys: every character that does not print, as Python escapes it.

    Messages hold names of files and of what is in them, and whoever named those may be a stranger.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class PochoirError(Exception):
    """Base of everything this project raises on purpose; its text is `printable`."""

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(PochoirError):
    """The input or the arguments are wrong; the message says how to mend them."""


class DecodeError(InputError):
    """A film cannot be read, or a frame of it is damaged."""


class RecipeError(InputError):
    """A recipe names an unknown stage, or a parameter is out of bounds."""


class HintError(InputError):
    """A hints file or a hint breaks a rule; the message names the hint."""


class ProjectError(InputError):
    """A project folder is missing, foreign, locked or newer than this program."""


class ModelMissingError(InputError):
    """A model's checkpoint is not in the model folder."""


class WeightsError(InputError):
    """A checkpoint is damaged, unsafe, or not the model it claims to be."""


class ShapeError(PochoirError, ValueError):
    """Arrays that must fit together do not; the message gives both shapes."""


class StageError(PochoirError):
    """A stage failed on a frame; raised ``from`` the cause, naming stage, shot and frame."""


class EncodeError(PochoirError):
    """The film could not be written."""


class CacheError(PochoirError):
    """The frame cache cannot be written (disk full, no permission)."""


class Cancelled(PochoirError):  # noqa: N818 - it is an outcome, not a fault
    """The person asked to stop; everything finished so far is kept."""
