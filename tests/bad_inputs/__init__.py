"""The table of what must be refused: one file a kind of input, in each a list CASES. To add a case: a line there."""

import importlib
import pkgutil

NAMES = sorted(found.name for found in pkgutil.iter_modules(__path__))
PARTS = [importlib.import_module(f"{__name__}.{name}") for name in NAMES]
CASES = [case for part in PARTS for case in getattr(part, "CASES", ())]
