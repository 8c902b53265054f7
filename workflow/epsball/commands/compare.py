"""Comparison of two runs: their verdicts side by side, and what their configurations differ in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from epsball.analysis.claims import ALL_NETWORKS
from epsball.analysis.run import read_claims
from epsball.config import load_config
from epsball.errors import EpsballError
from epsball.reporting.html.template import render
from epsball.reporting.summary_text import format_number
from epsball.runs import provenance_records

_KEY = ["claim", "network", "dataset", "control"]  # what two rows have in common
_MISSING = "not in this run"
_ALIKE = 1e-9  # of numbers that are the same
_DECADES = 100  # from the least to the most of a claim's numbers, where they are placed by their logarithms


def compare(run_a: Path, run_b: Path) -> pd.DataFrame:
    """The claims of two runs side by side.

    Args:
        run_a: folder of a run.
        run_b: of another.

    Returns:
        A row a claim, network and control that either has, those of the first before what the second alone has: claim,
        statement, network, dataset, control; for a and b estimate, ci_low, ci_high, samples and verdict, with the
        suffix _a or _b; difference, b less a; changed, whether both have a verdict and it is another. In the rows of
        a control the estimate is the difference of the network from it. What a run does not have is not a number, and
        its verdict "not in this run". Runs whose dataset has another name meet nowhere.

    Raises:
        EpsballError: a folder is no run.
    """
    tables = [_claims(folder) for folder in (run_a, run_b)]
    both = tables[0].merge(tables[1], on=_KEY, how="outer", suffixes=("_a", "_b"), sort=False)
    order = pd.concat([table[_KEY] for table in tables]).drop_duplicates()
    both = order.merge(both, on=_KEY, how="left")
    both["statement"] = both["statement_a"].fillna(both["statement_b"])
    for column in ("verdict_a", "verdict_b"):
        both[column] = both[column].fillna(_MISSING)
    both["difference"] = both["estimate_b"] - both["estimate_a"]
    both["changed"] = _met(both) & (both["verdict_a"] != both["verdict_b"])
    sides = [f"{column}_{side}" for side in "ab" for column in ("estimate", "ci_low", "ci_high", "samples", "verdict")]
    return both[["claim", "statement", "network", "dataset", "control", *sides, "difference", "changed"]]


def configuration_differences(run_a: Path, run_b: Path) -> pd.DataFrame:
    """The keys, defaults included, that two runs' configurations differ in.

    Returns:
        Columns key (dotted), a, b; None where a run has no such key.

    Raises:
        EpsballError: a folder is no run.
    """
    flat = [dict(_flat(_configuration(folder))) for folder in (run_a, run_b)]
    keys = list(dict.fromkeys(key for found in flat for key in found))
    rows = [(key, *(found.get(key) for found in flat)) for key in keys if flat[0].get(key) != flat[1].get(key)]
    return pd.DataFrame(rows, columns=["key", "a", "b"], dtype=object)


def others(run_a: Path, run_b: Path) -> list[str]:
    """What has one name in two runs and is not the same: networks by their weights' digest, samples by their pixels'.

    Returns:
        A sentence each.
    """
    said = []
    for card in sorted(run_a.glob("networks/*/card.json")):
        beside = run_b / card.relative_to(run_a)
        if beside.is_file() and json.loads(card.read_text())["digest"] != json.loads(beside.read_text())["digest"]:
            said.append(f"Network {card.parent.name} has other weights.")
    for table in sorted(run_a.glob("samples/*.csv")):
        beside = run_b / table.relative_to(run_a)
        if beside.is_file():
            one, other = (set(pd.read_csv(path)["digest"]) for path in (table, beside))
            if one != other:
                said.append(
                    f"Samples of {table.stem}: {len(one)} and {len(other)}, of which {len(one & other)} in both."
                )
    return said


def summary(table: pd.DataFrame, differences: pd.DataFrame, remarks: Sequence[str] = ()) -> Iterator[str]:
    """Say in lines what two runs differ in.

    Args:
        table: of `compare`.
        differences: of `configuration_differences`.
        remarks: of `others`.
    """
    if nothing := _nothing(table):
        yield nothing
        return
    yield from remarks
    yield f"Keys of the configuration that differ: {len(differences) or 'none'}"
    yield from (f"  {row.key}: {_shown(row.a)} → {_shown(row.b)}" for row in differences.itertuples())
    changed = table[table["changed"]]
    yield f"Verdicts that differ: {len(changed)} of {_met(table).sum()}"
    for row in changed.to_dict("records"):
        yield (
            f"  {row['claim']}, {_name(row)}: {row['verdict_a']} ({format_number(row['estimate_a'])}) → "
            f"{row['verdict_b']} ({format_number(row['estimate_b'])})"
        )
    for run, alone in zip(("first", "second"), _alone(table), strict=True):
        if alone:
            yield f"In the {run} run alone: {len(alone)} rows, of {', '.join(dict.fromkeys(alone))}"


def page(run_a: Path, run_b: Path) -> str:
    """The comparison as HTML, one file that opens offline; arguments as for `compare`."""
    table = compare(run_a, run_b)
    met = _met(table)
    return render(
        "compare.html.j2",
        runs=[run_a.resolve().name, run_b.resolve().name],
        nothing=_nothing(table),
        others=others(run_a, run_b),
        differences=[
            (row.key, _shown(row.a), _shown(row.b)) for row in configuration_differences(run_a, run_b).itertuples()
        ],
        claims=[
            (claim, [row for _, alike in rows.groupby("statement", sort=False) for row in _placed(alike)])
            for claim, rows in table[met].groupby("claim", sort=False)
        ],
        changed=int(table["changed"].sum()),
        met=int(met.sum()),
        alone=[sorted(set(names)) for names in _alone(table)],
    )


def _nothing(table: pd.DataFrame) -> str:
    """A sentence for runs without a network in common, empty for others."""
    if _met(table)[table["network"] != ALL_NETWORKS].any():
        return ""
    return "Nothing to compare: no network of one run has the name and dataset of one of the other."


def _placed(rows: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Rows of a statement, with `places` by run: low end, estimate and high end, in % of the range of all of them."""
    sides = {side: [f"{column}_{side}" for column in ("ci_low", "estimate", "ci_high")] for side in "ab"}
    values = rows[sides["a"] + sides["b"]].astype(float)
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


def _met(table: pd.DataFrame) -> pd.Series:
    """Whether both runs have a row."""
    return (table["verdict_a"] != _MISSING) & (table["verdict_b"] != _MISSING)


def _alone(table: pd.DataFrame) -> list[list[str]]:
    """Networks of the rows that the first run alone has, and of those that the second has."""
    return [
        [_name(row) for row in table[table[other] == _MISSING].to_dict("records")]
        for other in ("verdict_b", "verdict_a")
    ]


def _claims(folder: Path) -> pd.DataFrame:
    path = folder / "claims.tsv"
    try:
        table = read_claims(path)
    except FileNotFoundError:
        provenance_records.last_configuration(folder)  # says so of what is no folder of a run at all
        raise EpsballError(
            f"'{folder}' has no claims.tsv: its run is not finished; run it again to its end, then compare"
        ) from None
    compared = table["control"] != ""
    for column, difference in (
        ("estimate", "difference"),
        ("ci_low", "difference_low"),
        ("ci_high", "difference_high"),
    ):
        table[column] = table[column].where(~compared, table[difference])
    return table[[*_KEY, "statement", "estimate", "ci_low", "ci_high", "samples", "verdict"]]


def _configuration(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = dataclasses.asdict(load_config(provenance_records.configuration(folder / "claims.tsv")))
    return config


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, by dotted keys."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _name(row: Mapping[Hashable, Any]) -> str:
    return f"{row['network']}{' less ' + row['control'] if row['control'] else ''}"
