import contextlib
import functools
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from pathlib import Path

from epsball import controls, probes
from epsball.perturbations import families
from epsball.reporting import figures
from epsball.runs import provenance, provenance_records, run_folder
from epsball.stages import select
from epsball.networks import sources
from epsball.config import Compute, load_config
from epsball.controls import CONTROLS
from epsball.perturbations.families import FAMILIES
from epsball.data import KINDS
from epsball.errors import EpsballError, user_message


@contextlib.contextmanager
def exit_with_message():
    """End with our sentences alone: Snakemake would add places in its files and ours to any other exception."""
    try:
        yield
    except (EpsballError, OSError) as error:
        if (said := user_message(error)) is None:
            raise
        print(f"\n{said}", file=sys.stderr)
        sys.exit(1)


with exit_with_message():
    CONFIG = load_config(config)
    PROBES = probes.chosen_probes(CONFIG)
    controls.chosen_controls(CONFIG)
STORED = [name for name in PROBES if not probes.is_white_box(name)]
WHITE_BOX = [name for name in PROBES if probes.is_white_box(name)]
RUN = f"results/{CONFIG.run}"
FOLDER = Path(RUN)
DATASETS = list(CONFIG.datasets)
NETWORKS = list(CONFIG.networks)
CARDS = [f"{RUN}/networks/{network}/card.json" for network in NETWORKS]
SURVEYS = [f"{RUN}/survey/{network.dataset}/{network.name}.parquet" for network in CONFIG.networks.values()]

# What forward passes depend on, and no more: a change of anything else must not redo them.
FORWARD = replace(CONFIG.compute, float64_draws=0)
PROCESS = Compute(threads=CONFIG.compute.threads, device=CONFIG.compute.device)


def alternatives(names):
    """A pattern of the names alone; of none, one that nothing matches."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    dataset=alternatives(DATASETS),
    network=alternatives(NETWORKS),
    family=alternatives(FAMILIES),
    probe=alternatives(probes.PROBES),
    figure=alternatives(figures.names(CONFIG)),
    split="train|test",
    shard=r"\d+",
    control=alternatives(CONTROLS),


def code(script, *modules):
    """Digest of a stage's code: its script, what that imports of the library, and modules that it loads by name."""
    return provenance.code_digest(WORKFLOW / "scripts" / script, modules)


def as_param(value):
    """A parameter as a list of one: Snakemake notices changes of built-in types only, by their repr."""
    if callable(value):
        return lambda wildcards: [value(wildcards)]
    return [value]


def network_of(wildcards):
    return CONFIG.networks[wildcards.network]


def dataset_name(wildcards):
    return wildcards.dataset if hasattr(wildcards, "dataset") else network_of(wildcards).dataset


def dataset_of(wildcards):
    return CONFIG.datasets[dataset_name(wildcards)]


def ball_of(wildcards):
    """What is drawn of the ball by a family, or by that of a probe."""
    name = wildcards.family if hasattr(wildcards, "family") else probes.family_of(wildcards.probe)
    return families.ball(CONFIG.ball, name)


def network_threads(wildcards):
    """Threads of a network's making: a training has its own, so that a run with others has the same networks."""
    training = network_of(wildcards).training
    return training.threads if training else CONFIG.compute.threads


def source_of(wildcards):
    """A dataset as a source of images: how many are asked for and how sure networks must be is not part of it."""
    return replace(dataset_of(wildcards), samples=0, threshold=0.0, limit=None)


def fingerprint(rule, **wildcards):
    """Digest of what a rule makes its files with. That is its parameters, which have those of the rules above it.

    A parameter of every rule below. A job that fails leaves no output, and Snakemake takes what was made of the old one
    for current, though it would be made otherwise now.
    """
    known = SimpleNamespace(**wildcards)
    values = {
        name: value(known) if callable(value) else value
        for name, value in getattr(rules, rule).params.items()
        if name not in ("folder", "rows")  # a place; a shard's samples, which their file tells
    }
    return provenance.digest(rule, values)


def images_made(wildcards):
    """The same of a dataset's images, where they are rendered."""
    splits = ("train", "test") if dataset_of(wildcards).kind == "signs" else ()
    return [fingerprint("render", dataset=dataset_name(wildcards), split=split) for split in splits]


def measure_upstream(wildcards):
    """What makes the files that a probe reads of a network, the samples aside."""
    network, dataset = wildcards.network, dataset_name(wildcards)
    family = probes.family_of(wildcards.probe)
    return [
        fingerprint("survey", dataset=dataset, network=network),
        fingerprint("extract", network=network, family=family),
        fingerprint("perturb", dataset=dataset, family=family),
    ]


def white_box_code(wildcards):
    """Digest of the code of a white-box probe, and of the families that it may draw from."""
    return network_code("measure_white_box.py", wildcards, probes.PROBES[wildcards.probe].module, *FAMILIES.values())


def control_rule(control):
    """Name of the rule that measures a control."""
    return f"measure_control_{control.replace('-', '_')}"


def control_survey(wildcards):
    """The survey that g and h of a control are from: that of its network, where its features are of the same kind."""
    suffix = f"~{wildcards.control}" if controls.has_own_features(wildcards.control) else ""
    return f"{RUN}/survey/{dataset_name(wildcards)}/{wildcards.network}{suffix}.parquet"


def control_code(wildcards):
    """Digest of the code of a control, its probes and its families."""
    name = wildcards.control
    measuring = [probes.PROBES[probe].module for probe in controls.measured_by(CONFIG, name)]
    drawing = [FAMILIES[family] for family in controls.families(CONFIG, name)]
    return network_code("measure_control.py", wildcards, CONTROLS[name], *measuring, *drawing)


def control_upstream(wildcards):
    """What makes the files that a control is measured from, the samples aside."""
    network, dataset, name = wildcards.network, dataset_name(wildcards), wildcards.control
    drawing = [fingerprint("perturb", dataset=dataset, family=family) for family in controls.families(CONFIG, name)]
    surveys = [fingerprint("survey", dataset=dataset, network=network)]
    if controls.has_own_features(name):
        surveys = [fingerprint("survey_control", dataset=dataset, network=network, control=name)]
    return [fingerprint("build_network", network=network), *surveys, *drawing]


def measured(network):
    """Folders of the tables of a network and of its controls, by probe, without their suffix."""
    own = [f"{RUN}/metrics/{network}/{probe}" for probe in PROBES]
    return own + [
        f"{RUN}/metrics/{controls.name_of(network, control)}/{probe}"
        for control in CONFIG.controls
        for probe in controls.measured_by(CONFIG, control)
    ]


def gather_upstream(wildcards):
    """What makes the parts of the tables of a network and of its controls."""
    network = wildcards.network
    own = [fingerprint("measure", network=network, probe=probe) for probe in STORED]
    own += [fingerprint("measure_white_box", network=network, probe=probe) for probe in WHITE_BOX]
    return own + [fingerprint(control_rule(control), network=network, control=control) for control in CONFIG.controls]


def tables_upstream(wildcards):
    """What makes the tables of all networks, and the samples in them."""
    gathered = [fingerprint("gather", network=network) for network in NETWORKS]
    return [*gathered, *(fingerprint("select", dataset=dataset) for dataset in DATASETS)]


def figure_upstream(wildcards):
    """What makes the inputs of a figure."""
    making = {
        "illustration": [fingerprint("illustrate", dataset=dataset) for dataset in DATASETS],
        "card": [fingerprint("build_network", network=network) for network in NETWORKS],
        "survey": [fingerprint("survey", dataset=spec.dataset, network=name) for name, spec in CONFIG.networks.items()],
    }
    tables = tables_upstream(wildcards)
    return [digest for name in figures.reads(wildcards.figure) for digest in making.get(name, tables)]


def dataset_code(script, wildcards, *modules):
    return code(script, KINDS[dataset_of(wildcards).kind], *modules)


def network_code(script, wildcards, *modules):
    return dataset_code(script, wildcards, *sources.modules(network_of(wildcards)), *modules)


def made_files(dataset, *splits):
    """Files that the workflow makes or downloads for a dataset."""
    spec = CONFIG.datasets[dataset]
    if spec.options.get("download"):
        return [f"{RUN}/datasets/{dataset}/downloaded.txt"]
    return [f"{RUN}/datasets/{dataset}/{split}.npz" for split in splits] if spec.kind == "signs" else []


def samples_path(dataset):
    return f"{RUN}/samples/{dataset}.csv"


SAMPLES = [samples_path(dataset) for dataset in DATASETS]


def shards_of(dataset):
    """Shards of the selected samples; asking makes Snakemake select first."""
    path = checkpoints.select.get(dataset=dataset).output.samples
    return select.shards(select.read_samples(path))


def rows_digest(wildcards):
    """Digest of a shard's samples: what other networks or a larger selection cannot change."""
    path = samples_path(dataset_name(wildcards))
    if not Path(path).is_file():
        return ""
    rows = select.shard_rows(select.read_samples(path), int(wildcards.shard))
    return provenance.digest(*rows.itertuples(index=False, name=None))


def training_images(wildcards):
    return made_files(dataset_name(wildcards), "train") if network_of(wildcards).training else []


def own_files(wildcards):
    """Files of the user's that a network is made from."""
    spec = network_of(wildcards)
    weights = [spec.weights] if spec.weights and Path(spec.weights).is_file() else []
    return [*map(str, sources.own_files(spec)), *weights]


def data_files(wildcards):
    """Files of the user's that hold a dataset or its classes."""
    options = dataset_of(wildcards).options
    return [options[key] for key in ("root", "classes") if key in options and Path(options[key]).is_file()]


def user_code(wildcards):
    """Digest of the user's file behind a network: its weights may be the same, and the network another."""
    return sources.files_digest(network_of(wildcards))


def kept_or_temp(path):
    """An output that is dropped once its readers are done, unless the configuration keeps it."""
    return path if CONFIG.keep_activations else temp(path)


def store_of(kind, place):
    """Store that a probe reads, of the family that it names."""
    return lambda wildcards: (
        f"{RUN}/{kind}/{place(wildcards)}/{probes.family_of(wildcards.probe)}/{wildcards.shard}.zarr.zip"
    )


def tables(*names):
    return [f"{RUN}/metrics/{network}/{probe}.parquet" for network in NETWORKS for probe in names]


def all_tables():
    """Tables of all networks and their controls."""
    return [f"{table}.parquet" for network in NETWORKS for table in measured(network)]


def results():
    """What a run is for; each file comes back where it was removed."""
    drawn = [f"{RUN}/figures/{name}.{suffix}" for name in figures.names(CONFIG) for suffix in ("pdf", "svg", "png")]
    return [f"{RUN}/report.html", f"{RUN}/claims.tsv", *drawn, *all_tables()]


def caption(figure):
    """Text of a figure's caption."""
    return (WORKFLOW / "report" / f"{figure}.rst").read_text(encoding="utf-8")


def template_digest():
    """Digest of the report's templates, which are no code."""
    folder = WORKFLOW / "epsball" / "reporting" / "html" / "templates"
    return provenance.digest(*(path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())))


def figure_category(wildcards):
    """Where `snakemake --report` lists a figure."""
    categories = {"fig": "Figures of the paper", "beyond": "Beyond the paper", "training": "Training"}
    return next(title for start, title in categories.items() if wildcards.figure.startswith(start))


def figure_inputs(wildcards):
    """What a figure is drawn from."""
    reads = figures.reads(wildcards.figure)
    files = {
        "illustration": [f"{RUN}/illustrations/{dataset}.npz" for dataset in DATASETS],
        "card": CARDS,
        "survey": SURVEYS,
        "controls": all_tables(),
    }
    return [path for name in reads for path in files.get(name) or [*tables(name), *SAMPLES]]


def jobs_of_stages():
    """Jobs of each stage, done and to come, in the order of the rules; and whether a selection may add some."""
    dag = workflow.dag
    counts = Counter(job.rule.name for job in [*dag.needrun_jobs(), *dag.finished_jobs] if job.output)
    stages = {rule.name: counts[rule.name] for rule in workflow.rules if counts[rule.name]}
    return stages, any(not dag.finished(job) for job in dag.checkpoint_jobs)


@functools.cache
def monitor():
    """Of this run; the first call starts it."""
    silent = monitoring.in_ci() or is_quiet_about(workflow.output_settings.quiet, "progress")
    return monitoring.Monitor(jobs_of_stages, FOLDER / "logs" / "progress.log", None if silent else sys.stderr)


if workflow.is_main_process:
    # What only the first process needs is imported there: a job waits for its Snakemake to read this.
    from snakemake.logging import is_quiet_about, logger

    from epsball.runs import monitor as monitoring
    from epsball.commands import plan
    from epsball.reporting import end_of_run
    from epsball.commands.preflight import check
    from epsball.analysis.results import read_claims

    with exit_with_message():
        run_folder.require_writable(FOLDER)
        run_folder.restore_metadata(FOLDER)
    print(plan.describe(CONFIG, workflow.cores or 1, plan.measured(CONFIG, FOLDER)), file=sys.stderr)
