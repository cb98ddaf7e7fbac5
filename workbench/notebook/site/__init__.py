"""Static pages, for those without a kernel."""
