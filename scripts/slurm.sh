#!/usr/bin/env bash
# A sweep on eight Slurm jobs, one run at a time on each. Start it where `sbatch` works and leave it running (in tmux, or
# as a small job of its own): it places the runs, and the same command goes on after an interruption.
# Needs what `make setup` installs; in another environment: pip install dask-jobqueue cryptography
set -euo pipefail
export DASK_JOBQUEUE__SLURM__CORES=1
export DASK_JOBQUEUE__SLURM__MEMORY=4GB
export DASK_JOBQUEUE__SLURM__WALLTIME=04:00:00
# export DASK_JOBQUEUE__SLURM__QUEUE=short DASK_JOBQUEUE__SLURM__ACCOUNT=me
# One GPU a job, for --device cuda:
# export DASK_JOBQUEUE__SLURM__JOB_EXTRA_DIRECTIVES='["--gres=gpu:1"]'
# export DASK_JOBQUEUE__SLURM__WORKER_EXTRA_ARGS='["--resources", "GPU=1"]'
workbench sweep seqmnist_plain6 --grid depth=2,4,6,12 --grid gamma=1,2,5 --seeds 5 --slurm --workers 8 "$@"
