"""A stand-in Google Drive: the real client talks to it over HTTP, unmodified, real token exchange included.

`tree` holds files and a feed of changes, `people` hands out tokens, `api` answers with `query` for `q` and `fields`,
`faults` breaks answers on demand, `server` puts them behind HTTP. What it does not know it refuses, so that a test
never passes on a guess. What Drive really does was taken from its documentation and from what was found out by others.
"""

from tests.stand_in.faults import FAULTS, Faults
from tests.stand_in.server import StandInDrive
from tests.stand_in.tree import ANN, ROBOT, Tree

__all__ = ["ANN", "FAULTS", "ROBOT", "Faults", "StandInDrive", "Tree"]
