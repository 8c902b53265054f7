"""Comparison of two runs: their verdicts side by side, and the differences of their configurations."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from epsball.analysis.claims import ALL_NETWORKS
from epsball.analysis.run import Run, open_run
from epsball.config import Config, load_config
from epsball.errors import EpsballError
from epsball.reporting.html.template import render
from epsball.reporting.summary_text import format_number
from epsball.runs import provenance_records

_KEY = ["claim", "network", "dataset", "control"]  # columns by which rows of two runs are matched
_NUMBERS = {"estimate": "difference", "ci_low": "difference_low", "ci_high": "difference_high"}
_MISSING = "not in this run"
_NOTHING = "Nothing to compare: no network of one run has the name and dataset of one of the other."
_ALIKE = 1e-9  # relative difference of numbers that are the same
_DECADES = 100  # ratio of a claim's largest to smallest number from which they are placed by their logarithms


@dataclass(frozen=True)
class Comparison:
    """Two runs, a and b, side by side.

    Attributes:
        runs: names of the two runs.
        claims: a row for each claim, network and control that either run has, those of a before what b alone has:
            claim, statement, network, dataset, control; estimate, ci_low, ci_high, samples and verdict, with the suffix
            _a or _b; difference, b less a; changed, whether both have a verdict and it is another. In the rows of a
            control the estimate is the difference or ratio of the network to it. What a run does not have is not a
            number, and its verdict "not in this run". Runs whose dataset has another name meet nowhere.
        keys: keys of the configurations, defaults included, with different values: key (dotted), a, b or None.
        remarks: a sentence for each network and each table of samples that has one name in both runs and is not the
            same, by the digests of weights and pixels.
    """

    runs: tuple[str, str]
    claims: pd.DataFrame
    keys: pd.DataFrame
    remarks: list[str]

    @property
    def met(self) -> pd.DataFrame:
        """The rows that both runs have; none where they have no network in common."""
        rows = self.claims[(self.claims[["verdict_a", "verdict_b"]] != _MISSING).all(axis=1)]
        return rows if (rows["network"] != ALL_NETWORKS).any() else rows.head(0)

    @property
    def alone(self) -> list[list[str]]:
        """Networks that a alone has, once for each row, and those of b."""
        return [
            [_name(row) for row in self.claims[self.claims[other] == _MISSING].to_dict("records")]
            for other in ("verdict_b", "verdict_a")
        ]


def compare(run_a: Path, run_b: Path) -> Comparison:
    """Compare two runs, by their folders.

    Raises:
        EpsballError: a folder is not the folder of a run.
    """
    folders = {"a": run_a, "b": run_b}
    runs = [open_run(folder) for folder in folders.values()]
    sides = [_claims(run).set_index(_KEY).add_suffix(f"_{side}") for side, run in zip(folders, runs, strict=True)]
    claims = pd.concat(sides, axis=1).reset_index()
    claims["statement"] = claims["statement_a"].fillna(claims["statement_b"])
    verdicts = claims[["verdict_a", "verdict_b"]] = claims[["verdict_a", "verdict_b"]].fillna(_MISSING)
    claims["difference"] = claims["estimate_b"] - claims["estimate_a"]
    claims["changed"] = (verdicts != _MISSING).all(axis=1) & (verdicts["verdict_a"] != verdicts["verdict_b"])
    a, b = (load_config(provenance_records.configuration(folder / "claims.tsv")) for folder in folders.values())
    return Comparison(
        runs=(run_a.resolve().name, run_b.resolve().name),
        claims=claims.drop(columns=["statement_a", "statement_b"]),
        keys=pd.DataFrame(differing_keys(a, b), columns=["key", "a", "b"], dtype=object),
        remarks=list(_remarks(*runs)),
    )


def _claims(run: Run) -> pd.DataFrame:
    if not (run.folder / "claims.tsv").is_file():
        raise EpsballError(
            f"'{run.folder}' has no claims.tsv: its run is not finished; run it again to its end, then compare"
        )
    table = run.claims
    for column, difference in _NUMBERS.items():
        table[column] = table[column].where(table["control"] == "", table[difference])
    return table[[*_KEY, "statement", *_NUMBERS, "samples", "verdict"]]


def differing_keys(a: Config, b: Config) -> list[tuple[Hashable, Any, Any]]:
    """Return the keys of two configurations, defaults included, with different values: key (dotted), a's and b's."""
    one, other = (pd.json_normalize(asdict(each)).astype(object).iloc[0].to_dict() for each in (a, b))
    return [(key, one.get(key), other.get(key)) for key in {**one, **other} if one.get(key) != other.get(key)]


def _remarks(run_a: Run, run_b: Run) -> Iterator[str]:
    def both(*place: str) -> bool:
        return all(run.folder.joinpath(*place).is_file() for run in (run_a, run_b))

    for network in run_a.networks:
        if both("networks", network, "card.json") and run_a.card(network)["digest"] != run_b.card(network)["digest"]:
            yield f"Network {network} has other weights."
    for dataset in run_a.datasets:
        if both("samples", f"{dataset}.csv"):
            a, b = (set(run.samples(dataset)["digest"]) for run in (run_a, run_b))
            if a != b:
                yield f"Samples of {dataset}: {len(a)} and {len(b)}, of which {len(a & b)} in both."


def summary(compared: Comparison) -> Iterator[str]:
    """Describe the differences between two runs, line by line."""
    met = compared.met
    if met.empty:
        yield _NOTHING
        return
    yield from compared.remarks
    yield f"Keys of the configuration that differ: {len(compared.keys) or 'none'}"
    yield from (f"  {row.key}: {_shown(row.a)} → {_shown(row.b)}" for row in compared.keys.itertuples())
    yield f"Verdicts that differ: {met['changed'].sum()} of {len(met)}"
    for row in met[met["changed"]].to_dict("records"):
        a, b = (f"{row[f'verdict_{side}']} ({format_number(row[f'estimate_{side}'])})" for side in "ab")
        yield f"  {row['claim']}, {_name(row)}: {a} → {b}"
    for run, alone in zip(("first", "second"), compared.alone, strict=True):
        if alone:
            yield f"In the {run} run alone: {len(alone)} rows, of {', '.join(dict.fromkeys(alone))}"


def page(compared: Comparison) -> str:
    """Return the comparison as HTML, one file that opens offline."""
    met = compared.met
    return render(
        "compare.html.j2",
        runs=compared.runs,
        nothing=_NOTHING if met.empty else "",
        others=compared.remarks,
        differences=[(row.key, _shown(row.a), _shown(row.b)) for row in compared.keys.itertuples()],
        claims=[
            (claim, [row for _, alike in rows.groupby("statement", sort=False) for row in _placed(alike)])
            for claim, rows in met.groupby("claim", sort=False)
        ],
        changed=int(met["changed"].sum()),
        met=len(met),
        alone=[sorted(set(names)) for names in compared.alone],
    )


def _placed(rows: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Return rows of a statement with `places` by run: low end, estimate and high end, in % of the range of all."""
    sides = {side: [f"{column}_{side}" for column in ("ci_low", "estimate", "ci_high")] for side in "ab"}
    values = rows[sides["a"] + sides["b"]].astype(float).replace([np.inf, -np.inf], np.nan)
    low, high = values.min().min(), values.max().max()
    if 0 < low < high / _DECADES:
        values, low, high = values.apply(np.log10), np.log10(low), np.log10(high)
    if high - low < _ALIKE * max(abs(low), abs(high)):
        values = values * np.nan  # what is left is rounding
    records = rows.to_dict("records")
    for row, shares in zip(records, (100 * (values - low) / (high - low)).to_dict("records"), strict=True):
        at = {side: [shares[name] for name in names] for side, names in sides.items()}
        row["places"] = {side: ends for side, ends in at.items() if np.isfinite(ends).all()}
    return records


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _name(row: Mapping[Hashable, Any]) -> str:
    return f"{row['network']}{' against ' + row['control'] if row['control'] else ''}"
