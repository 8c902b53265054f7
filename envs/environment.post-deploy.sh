#!/usr/bin/env bash
# Run by Snakemake in the folder of the workflow once the environment is made.
set -euo pipefail
pip install --no-deps -e .
