"""What must be refused, a table: one file a kind of input, in each a list CASES. To add a case: a line there."""

from . import (
    data,
    environment,
    images,
    many,
    notebooks,
    parameters,
    sequence,
    sizes,
    skeleton,
    speech,
    store,
    studies,
    training,
    treebank,
    widgets,
)

PARTS = (sizes, sequence, training, many, parameters, notebooks, studies, widgets)
PARTS += (images, treebank, speech, skeleton, data, store, environment)
CASES = [case for part in PARTS for case in part.CASES]
