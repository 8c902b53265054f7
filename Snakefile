from snakemake.utils import min_version

min_version("9.20")


# --configfile stands alone: Snakemake would merge it into a configuration that is already loaded.
if not workflow.config_settings.configfiles:

    configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/samples.smk"
include: "workflow/rules/activations.smk"
include: "workflow/rules/controls.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/results.smk"


rule all:
    default_target: True
    input:
        f"{RUN}/report.html",


# Not a rule: all else would depend on it, and Snakemake does not look at what is below a job that runs again.
onstart:
    with told():
        # The official plugin names its jobs after the run.
        runfolder.hold(FOLDER, getattr(workflow.scheduler._executor, "run_uuid", None))
        records.keep_configuration(FOLDER, config)
        print(check(CONFIG, FOLDER / "datasets").to_string(index=False) + "\n", file=sys.stderr)
        monitor().listen(logger)


onsuccess:
    monitor().end()
    places = {"Report": "report.html", "Claims": "claims.tsv", "Figures": "figures/"}
    if Path(RUN, "claims.tsv").exists():
        print("", summary.verdicts(pd.read_csv(f"{RUN}/claims.tsv", sep="\t")), sep="\n")
    print("", *(f"{name}: {RUN}/{place}" for name, place in places.items() if Path(RUN, place).exists()), sep="\n")
    print(f"Time: {monitoring.clock(monitor().seconds)}")


onerror:
    print("", summary.failures(monitor().end()), sep="\n", file=sys.stderr)
