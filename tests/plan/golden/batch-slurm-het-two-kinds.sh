#!/bin/bash
#SBATCH --job-name=job
#SBATCH --output=orchestrator.log
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
#SBATCH --no-kill
#SBATCH --requeue
#SBATCH --partition=h200
#SBATCH --constraint=fast
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --mem=0
#SBATCH --gpus-per-node=4
#SBATCH --exclusive
#SBATCH hetjob
#SBATCH --partition=gb200
#SBATCH --constraint=fast
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --mem=0
#SBATCH --gres=gpu:gb200:4
#SBATCH --exclusive
# Argument: the allocation directory. Everything that runs here was fixed when the job was submitted.
# The job is known by its directory before anything of it can fail.
printf "%s\n" "$SLURM_JOB_ID" > "$1/job_id"
exec /opt/python3 -I -S "$1/orchestrator.pyz" "$1"
