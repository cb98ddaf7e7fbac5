"""Many runs and notebooks as jobs: planned, given to workers, here or on a cluster."""
