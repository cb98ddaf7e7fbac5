"""Actions from skeletons: NTU RGB+D 60 and 120, and UTD-MHAD through the same interface."""

from .nearest_neighbour import accuracy as neighbour_accuracy
from .ntu_file import read as read
from .task import SkeletonsTask as SkeletonsTask
from .task import hashes as hashes
from .task import spec as spec
from .task import task as task

__all__ = ["SkeletonsTask", "hashes", "neighbour_accuracy", "read", "spec", "task"]
