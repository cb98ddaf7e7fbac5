"""Actions from skeletons: NTU RGB+D 60 and 120, and UTD-MHAD through the same interface."""

from .ntu_file import read as read
from .task import SkeletonsTask as SkeletonsTask
from .task import hashes as hashes
from .task import spec as spec
from .task import task as task
from .utd import neighbour_accuracy as neighbour_accuracy
