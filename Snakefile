# Snakemake starts here, with profiles/default beside it. The workflow itself is where its catalogue looks for it.
include: "workflow/Snakefile"


workflow.default_target = "all"  # what is included has none
