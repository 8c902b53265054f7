"""Download a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.data import download
    from epsball.runs import files

    dataset = config.datasets[snakemake.wildcards.dataset]
    download(dataset)
    files.write_text(Path(snakemake.output.note), f"{dataset.options.get('root', dataset.options.get('name'))}\n")
