"""What is kept on disk: records, who holds them, bundles of them. Nothing here unpickles code."""

from __future__ import annotations

from .run import Run as Run
from .run import config_of as config_of
from .run import find as find
from .run import open_run as open_run
from .run import pure as pure
from .run import travels as travels
