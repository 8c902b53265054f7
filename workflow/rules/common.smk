import contextlib
import functools
import sys
from collections import Counter
from pathlib import Path

from epsball import controls, data, probes
from epsball.config import load_config
from epsball.config.reading import read_yaml
from epsball.errors import EpsballError, print_on_any_terminal, require_docstrings, sentence
from epsball.networks import sources
from epsball.probes import normalisers
from epsball.reporting import figures
from epsball.runs import code_in_use, contents, files, integrity, provenance, provenance_records, run_folder, versions
from epsball.stages import fingerprints, given, panels, select, studied


@contextlib.contextmanager
def exit_with_message():
    """Exit with a plain message: to any other exception, Snakemake would add positions in its files and ours."""
    try:
        yield
    except Exception as error:
        print(f"\n{sentence(error)}", file=sys.stderr)
        sys.exit(1)


print_on_any_terminal()
with exit_with_message():
    require_docstrings()
    for file in workflow.config_settings.configfiles if workflow.is_main_process else ():
        read_yaml(file)  # for keys that are given twice, of which Snakemake keeps one; no job need look again
    CONFIG = load_config(config)
    probes.chosen_probes(CONFIG)
    controls.chosen_controls(CONFIG)
FAMILIES_DRAWN = probes.families(CONFIG)
FIGURES = figures.names(CONFIG)
DATASETS, NETWORKS = list(CONFIG.datasets), list(CONFIG.networks)
NAMES = {"dataset": DATASETS, "network": NETWORKS}
FOLDER = CONFIG.folder
RUN = str(FOLDER)
with exit_with_message():
    CONTENTS = contents.Contents(FOLDER / ".contents.json", fixed=not workflow.is_main_process)
GIVEN = given.Given(CONFIG, CONTENTS)
FINGERPRINTS = fingerprints.Fingerprints(CONFIG, WORKFLOW / "scripts", {"figures": figures.modules(CONFIG)}, GIVEN)


def unlimit_jobs():
    """Take off Snakemake's default limit of 100 jobs a second, which is never reached.

    For its sake Snakemake (9.27) looks at all waiting jobs each second, once more for each job that has ended: in a run
    of fifty, with a fifth of a core. A limit of the user's stays.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def leave_groups_as_they_are():
    """Have Snakemake join no further groups where there are several datasets.

    When a later selection enters the graph, Snakemake (9.27) joins the groups that wait to some that run already, and
    does not know these at their end.
    """
    if len(DATASETS) > 1:
        workflow.group_settings.group_components = {}


def alternatives(names):
    """Return a pattern that only the names match; without names, nothing matches it."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    dataset=alternatives(DATASETS),
    network=alternatives(NETWORKS),
    probe=alternatives(probes.white_box_probes(CONFIG)),
    control=alternatives(controls.with_own_features(CONFIG)),
    split="train|test",
    shard=r"\d+",


def fingerprint(stage):
    """Return the parameter that decides whether a rule's files are current; see docs/explanation/reruns.md."""
    return lambda wildcards: FINGERPRINTS.of(stage, **without_shard(wildcards))


def versions_for(stage, made):
    """Return the parameter that makes a job again that other versions have made; `made` is one of its files.

    It cannot be told by the job's output: Snakemake does not look for changes in what depends on that.
    """

    def find(wildcards):
        packages = FINGERPRINTS.packages(stage, **without_shard(wildcards))
        return versions.asked(Path(made.format(**wildcards)), packages, redo=CONFIG.other_versions == "redo")

    return find


def without_shard(wildcards):
    return {key: wildcards[key] for key in wildcards.keys() - {"shard"}}


def dataset_name(wildcards):
    return wildcards.dataset if hasattr(wildcards, "dataset") else CONFIG.networks[wildcards.network].dataset


def made_files(dataset, *splits):
    """List the files that the workflow renders or downloads for a dataset."""
    spec = CONFIG.datasets[dataset]
    if spec.options.get("download"):
        return [f"{RUN}/datasets/{dataset}/downloaded.txt"]
    return [f"{RUN}/datasets/{dataset}/{split}.npz" for split in splits] if spec.kind == "signs" else []


def pool_files(wildcards):
    """List the files behind the pool that a rule reads, if the workflow makes them."""
    return made_files(dataset_name(wildcards), "test")


# Files of the user's are no inputs: their content counts, in the fingerprint, and Snakemake would look at their time.


def user_data_files(wildcards):
    """List the user's files that hold a dataset or its classes."""
    spec = CONFIG.datasets[dataset_name(wildcards)]
    paths = [spec.options[key] for key in ("root", "classes") if key in spec.options]
    return [*map(str, data.own_files(spec)), *(path for path in paths if Path(path).is_file())]


def made_network_files(wildcards):
    """List what a run makes for a network before it is built: images to train on and for its accuracy, a download."""
    spec = CONFIG.networks[wildcards.network]
    published = [f"{RUN}/networks/{spec.name}/published.txt"] if sources.fetches(spec) else []
    return [*made_files(spec.dataset, "test", *(["train"] if spec.training else [])), *published]


def user_network_files(wildcards):
    """List the user's files that a network is built from."""
    spec = CONFIG.networks[wildcards.network]
    weights = [spec.weights] if spec.weights and Path(spec.weights).is_file() else []
    return [*map(str, sources.own_files(spec)), *weights]


def samples_path(wildcards):
    return f"{RUN}/samples/{dataset_name(wildcards)}.csv"


def survey_path(wildcards):
    return f"{RUN}/survey/{dataset_name(wildcards)}/{wildcards.network}.parquet"


def features_path(survey):
    return str(normalisers.features_path(Path(survey)))


def surveys(wildcards):
    """List the surveys on which g of Eq. 9 is based: of a network, and of its controls with features of their own."""
    network = wildcards.network
    own = [controls.name_of(network, control) for control in controls.with_own_features(CONFIG, network)]
    return [f"{RUN}/survey/{dataset_name(wildcards)}/{name}.parquet" for name in (network, *own)]


def perturbation_stores(wildcards):
    """List a shard's stores of perturbations, one for each family."""
    folder = f"{RUN}/perturbations/{dataset_name(wildcards)}"
    return [f"{folder}/{family}/{wildcards.shard}.zarr.zip" for family in FAMILIES_DRAWN]


def shards_of(network):
    """List the shards of the samples of a network; this makes Snakemake select first."""
    path = checkpoints.select.get(dataset=CONFIG.networks[network].dataset).output.samples
    return select.shards(select.read_samples(path, network))


def rows_digest(wildcards):
    """Return a digest of a shard's samples, of a network its own, which a larger selection cannot change."""
    path = samples_path(wildcards)
    if not Path(path).is_file():
        return ""
    rows = select.read_shard(path, int(wildcards.shard), getattr(wildcards, "network", ""))
    return provenance.digest(*rows.itertuples(index=False, name=None))


def control_tables(network, asked=None):
    """List the tables of a network's controls, without their suffix: of any network's, or those asked of one."""
    return [
        f"{RUN}/metrics/{controls.name_of(network, control)}/{probe}"
        for control in controls.chosen_controls(CONFIG, asked)
        for probe in controls.measured_by(CONFIG, control, asked)
    ]


def network_tables(network, asked=None):
    """List the tables of a network and of its controls, without their suffix: of any network's, or those asked of one.

    What is asked of another network alone is a table without rows.
    """
    own = [f"{RUN}/metrics/{network}/{probe}" for probe in probes.chosen_probes(CONFIG, asked)]
    return own + control_tables(network, asked)


SAMPLES = [f"{RUN}/samples/{dataset}.csv" for dataset in DATASETS]
SURVEYS = [f"{RUN}/survey/{network.dataset}/{network.name}.parquet" for network in CONFIG.networks.values()]
KEPT = str if CONFIG.keep_activations else temp  # temporary files are dropped once their readers are done
CARDS = [f"{RUN}/networks/{network}/card.json" for network in NETWORKS]
TABLES = [f"{table}.parquet" for network in NETWORKS for table in network_tables(network)]
ACROSS = [f"{RUN}/across_networks.tsv", f"{RUN}/properties.csv"] if studied.studied(CONFIG) else []
ILLUSTRATIONS, PANELS = ([f"{RUN}/illustrations/{dataset}.{kind}" for dataset in DATASETS] for kind in ("npz", "json"))
PICTURES = [f"{RUN}/figures/{name}.{suffix}" for name in FIGURES for suffix in ("pdf", "svg", "png")]


def caption(figure):
    """Return the caption of a figure as plain text; its file escapes what is markup in reStructuredText."""
    text = (WORKFLOW / "report" / f"{figure}.rst").read_text(encoding="utf-8")
    return re.sub(r"\\([|*])", r"\1", text)


def template_digest():
    """Return a digest of the report's templates, which are no code."""
    folder = WORKFLOW / "epsball" / "reporting" / "html" / "templates"
    return provenance.digest(*(path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())))


def figure_category(name):
    """Return the category under which `snakemake --report` lists a page of a figure."""
    titles = {
        "paper": "Figures of the paper",
        "beyond": "Beyond the paper",
        "training": "Training",
        "overview": "Claims",
        "across": "Across networks",
    }
    return titles[figures.FIGURES[figures.figure_of(name)][0]]


def jobs_of_stages():
    """Count the jobs of each stage, done and to come, in the order of the rules; say if a selection may add some."""
    dag = workflow.dag
    counts = Counter(job.rule.name for job in [*dag.needrun_jobs(), *dag.finished_jobs] if job.output)
    stages = {rule.name: counts[rule.name] for rule in workflow.rules if counts[rule.name]}
    return stages, any(not dag.finished(job) for job in dag.checkpoint_jobs)


def require_one_version():
    """Exit with a message if what is about to be computed would stand beside what other versions have made."""
    dag = workflow.dag
    needed = list(dag.needrun_jobs())
    made = {path for job in needed for path in job.output}
    packages = {name for job in needed for name in job.params.get("versions", {})}
    if any(not dag.finished(job) for job in dag.checkpoint_jobs):
        # A selection may add jobs of any stage, and keep any file.
        found = versions.among(FOLDER, other_versions(), lambda path: path not in made)
        packages |= provenance.DECIDING
    else:
        kept = {path for job in dag.jobs for path in job.output} - made
        found = versions.among(FOLDER, other_versions(), kept.__contains__)
    versions.require_one(FOLDER, found, packages)


@functools.cache
def other_versions():
    """Return the versions that are not here and had a part in the run's files; the first call reads all records."""
    return versions.others(FOLDER, NAMES)


@functools.cache
def monitor():
    """Return the monitor of this run; the first call starts it."""
    silent = monitoring.in_ci() or is_quiet_about(workflow.output_settings.quiet or (), "progress")
    return monitoring.Monitor(jobs_of_stages, FOLDER / "logs" / "progress.log", None if silent else sys.stderr)


if workflow.is_main_process:
    # What only the first process needs is imported there: a job waits for its Snakemake to read this.
    from snakemake.logging import is_quiet_about, logger

    from epsball.analysis.run import read_claims
    from epsball.commands import cost
    from epsball.reporting import end_of_run
    from epsball.runs import monitor as monitoring

    with exit_with_message():
        run_folder.require_writable(
            FOLDER, [*SAMPLES, *SURVEYS, *CARDS, *TABLES, *ACROSS, *ILLUSTRATIONS, *PICTURES, f"{RUN}/logs/a"]
        )
        run_folder.restore_metadata(FOLDER)
        integrity.settle_times(FOLDER)
        integrity.require_run(FOLDER)
        for path in provenance_records.recorded(FOLDER):
            # What Snakemake knows is of the path: a run that was put back, copied or merged may be another's.
            if made := (facts := provenance_records.last(path)).get("fingerprint"):
                run_folder.settle_fingerprint(path, made, FINGERPRINTS.is_of(facts))
        plan = cost.describe(CONFIG, workflow.resource_settings.cores or 1, cost.seen_in(CONFIG, FOLDER))
        remarks = versions.remarks(other_versions(), CONFIG.other_versions)
        print(plan, *remarks, sep="\n", file=sys.stderr)
