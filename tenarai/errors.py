"""The exception tree.

    TenaraiError                 anything a person can mend; shown as one message, without a traceback
    ├── SettingsError            a setting, an address or a command-line value is off
    ├── SourceError              the folder or the Drive cannot be read as a source
    │   ├── CredentialsError     no credentials, or they were refused or have expired
    │   └── MassDeletionError    so much vanished at once that the sync stopped and changed nothing
    ├── StoreError               the store cannot be read or written
    │   ├── StoreVersionError    the store was written by a newer version
    │   └── StoreBusyError       another night works on this store
    ├── ImageError               these bytes are no usable picture of one character
    ├── DatasetError             too few images, too few classes
    ├── ModelError               a model is missing, damaged, or does not fit
    │   └── NormaliserMismatch   the model was trained with another version of the normaliser
    └── TrainingError            the training was ended or gave no usable model

Every message says what happened, what was expected, what was received, and how to mend it.
"""

from __future__ import annotations


class TenaraiError(Exception):
    """Anything that a person can mend.

    Args:
        what: What happened, and to what.
        expected: What would have been right; left out of the message when empty.
        received: What was found instead; left out when empty.
        mend: What to do about it; left out when empty.
    """

    def __init__(self, what: str, *, expected: str = "", received: str = "", fix: str = "") -> None:
        """Keep the four parts, and join them into one message."""
        self.what, self.expected, self.received, self.fix = what, expected, received, fix
        parts = [what.rstrip(".") + "."]
        if expected:
            parts.append(f"Expected: {expected.rstrip('.')}.")
        if received:
            parts.append(f"Received: {received.rstrip('.')}.")
        if fix:
            parts.append(f"Fix: {fix.rstrip('.')}.")
        super().__init__(" ".join(parts))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by parts, so that the error survives process pools and Prefect's result storage."""
        return (_rebuild, (type(self), self.what, self.expected, self.received, self.fix))


def _rebuild(cls: type[TenaraiError], what: str, expected: str, received: str, fix: str) -> TenaraiError:
    return cls(what, expected=expected, received=received, fix=fix)


class SettingsError(TenaraiError):
    """A setting, an address or a command-line value is off."""


class SourceError(TenaraiError):
    """The folder or the Drive cannot be read as a source."""


class CredentialsError(SourceError):
    """No credentials, or they were refused or have expired."""


class MassDeletionError(SourceError):
    """So much vanished at once that the sync stopped and changed nothing."""


class StoreError(TenaraiError):
    """The store cannot be read or written."""


class StoreVersionError(StoreError):
    """The store was written by a newer version of Tenarai."""


class StoreBusyError(StoreError):
    """Another night works on this store."""


class ImageError(TenaraiError):
    """These bytes are no usable picture of one character; `what` is the reason shown to the person."""


class DatasetError(TenaraiError):
    """Too few images, or too few classes, to learn from."""


class ModelError(TenaraiError):
    """A model is missing, damaged, or does not fit what is asked of it."""


class NormaliserMismatch(ModelError):
    """The model was trained with another version of the normaliser than the one reading."""


class TrainingError(TenaraiError):
    """The training was ended or gave no usable model."""
