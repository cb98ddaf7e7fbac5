"""Sequences of one's own: arrays, tables, .ts files and folders of recordings behind one task.

`settings.py` is the config. Each reader (arrays.py, tables.py, ts_file.py, waves.py; in_memory.py of an estimator's X)
finds what a `Content` (content.py) holds; split.py parts it, scaling.py fills and scales it, task.py cuts it into
batches.
"""

from .content import Content as Content
from .scaling import Scaling as Scaling
from .settings import Sequences as Sequences
from .task import SequencesTask as SequencesTask
from .task import found as found
from .task import hashes as hashes
from .task import is_data as is_data
from .task import spec as spec
from .task import task as task
