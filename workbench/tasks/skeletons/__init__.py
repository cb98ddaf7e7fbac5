"""Actions from skeletons: NTU RGB+D 60 and 120, and UTD-MHAD through the same interface."""

from .file import read as read
from .neighbour import accuracy as neighbour_accuracy
from .protocol import SkeletonsTask as SkeletonsTask
from .protocol import hashes as hashes
from .protocol import spec as spec
from .protocol import task as task

__all__ = ["SkeletonsTask", "hashes", "neighbour_accuracy", "read", "spec", "task"]
