"""The nets: `build` makes one from its config; `IndRNN` and `ConvIndRNN` are the layers for code of your own."""

from __future__ import annotations

from .bounds import bound as bound
from .bounds import half_life as half_life
from .bounds import near_one as near_one
from .build import build as build
from .build import clamp_ as clamp_
from .build import count as count
from .build import count_of as count_of
from .build import set_backend as set_backend
from .build import set_generator as set_generator
from .conv_indrnn import ConvIndRNN as ConvIndRNN
from .indrnn import IndRNN as IndRNN
