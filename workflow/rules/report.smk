def caption(figure):
    """Return the caption of a figure as plain text; its file escapes what is markup in reStructuredText."""
    text = (WORKFLOW / "report" / f"{figure}.rst").read_text(encoding="utf-8")
    return re.sub(r"\\([|*])", r"\1", text)


def template_digest():
    """Return a digest of the report's templates, which are no code."""
    folder = WORKFLOW / "epsball" / "reporting" / "html" / "templates"
    return provenance.digest(*(path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())))


rule report:
    input:
        TABLES,
        CARDS,
        SURVEYS,
        SAMPLES,
        claims=f"{RUN}/claims.tsv",
        images=[path for dataset in DATASETS for path in made_files(dataset, "test")],
        figures=[path for path in PICTURES if path.endswith(".png")],
    output:
        page=report(
            f"{RUN}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"page": "the whole report"},
        ),
    log:
        f"{RUN}/logs/report.log",
    conda:
        "../../envs/environment.yaml"
    params:
        fingerprint=fingerprint("report"),
        captions={name: caption(name) for name in FIGURES},
        templates=template_digest(),
    script:
        "../scripts/report.py"
