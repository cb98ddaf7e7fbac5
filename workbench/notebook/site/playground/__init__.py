"""The playground: one page on which a reader's browser runs and trains nets of independent neurons."""

from .page import write_playground as write_playground
