"""The compiled engine of CPUs: C sources with their callers, the compiler, memory, threads."""
