"""Static pages, for those without a kernel."""

from .playground import write_playground as write_playground
