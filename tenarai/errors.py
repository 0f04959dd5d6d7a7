"""The exception tree.

    TenaraiError                 anything a person can fix; shown as one message, without a traceback
    ├── SettingsError            a setting, an address or a command-line value is invalid
    ├── SourceError              the folder or the Drive cannot be read as a source
    │   ├── CredentialsError     no credentials, or they were refused or have expired
    │   └── UnusualChangesError    changes that look like an accident; the sync stopped and changed nothing
    ├── StoreError               the store cannot be read or written
    │   ├── StoreVersionError    another version of Tenarai wrote the store
    │   └── StoreBusyError       another night works on this store
    ├── ImageError               these bytes are no usable picture of one character
    ├── DatasetError             too few images or labels to learn from
    ├── ModelError               a model is missing, damaged, or does not fit
    │   └── NormaliserMismatch   the model was trained with another version of the normaliser
    └── TrainingError            the training was stopped or gave no usable model

Every message says what happened, what was expected, what was received, and how to fix it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tenarai.locale import _, translate


class TenaraiError(Exception):
    """Anything that a person can fix.

    Args:
        what: What happened, and to what.
        expected: What would have been right. Default: left out of the message.
        received: What was found instead. Default: left out.
        fix: What to do about it. Default: left out.
    """

    def __init__(self, what: str, *, expected: str = "", received: str = "", fix: str = "") -> None:
        """Keep the four parts."""
        self.what, self.expected, self.received, self.fix = what, expected, received, fix
        super().__init__(what, expected, received, fix)

    def __str__(self) -> str:
        """The message in English."""
        return self.describe("en")

    def describe(self, language: str) -> str:
        """The message in a language, a sentence a part."""
        parts = [self.what]
        if self.expected:
            parts.append(_("Expected: {expected}", expected=self.expected))
        if self.received:
            parts.append(_("Received: {received}", received=self.received))
        if self.fix:
            parts.append(_("Fix: {fix}", fix=self.fix))
        sentences = (translate(part, language).rstrip(".。") for part in parts)
        return "".join(translate(_("{sentence}. ", sentence=sentence), language) for sentence in sentences).rstrip()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by parts, so that the error survives process pools and Prefect's result storage."""
        return (_rebuild, (type(self), self.what, self.expected, self.received, self.fix))


def _rebuild(cls: type[TenaraiError], what: str, expected: str, received: str, fix: str) -> TenaraiError:
    return cls(what, expected=expected, received=received, fix=fix)


class SettingsError(TenaraiError):
    """A setting, an address or a command-line value is invalid."""


class SourceError(TenaraiError):
    """The folder or the Drive cannot be read as a source."""


class CredentialsError(SourceError):
    """No credentials, or they were refused or have expired."""


class UnusualChangesError(SourceError):
    """Changes that look like an accident: the sync stopped and changed nothing."""


class StoreError(TenaraiError):
    """The store cannot be read or written."""


class StoreVersionError(StoreError):
    """The store was written by another version of Tenarai."""


class StoreBusyError(StoreError):
    """Another night works on this store."""


class ImageError(TenaraiError):
    """These bytes are no usable picture of one character; `what` is the reason shown to the person."""


class DatasetError(TenaraiError):
    """Too few images or labels to learn from."""


class ModelError(TenaraiError):
    """A model is missing, damaged, or does not fit what is asked of it."""


class NormaliserMismatch(ModelError):
    """The model was trained with another version of the normaliser than the one reading."""


class TrainingError(TenaraiError):
    """The training was stopped or gave no usable model."""


@contextmanager
def writing(path: object, *, fix: str) -> Iterator[None]:
    """Report that a file which a person asked for cannot be written.

    Args:
        path: Where to.
        fix: What to do about it.

    Raises:
        SettingsError: It cannot be written there.
    """
    try:
        yield
    except OSError as error:
        what, why = _("{path} cannot be written", path=path), error.strerror or str(error)
        raise SettingsError(what, received=why, fix=fix) from error
