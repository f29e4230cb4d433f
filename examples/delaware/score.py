"""Compare simulated with observed daily flow at gauges: NSE, KGE and PBIAS, a table and a plot.

    python score.py --observations DIR --simulation DIR --output DIR [--warm-up-days 180]

Each input folder holds one NetCDF file with one flow variable over time and gauges (in either
order), its units m3 s-1 or ft3 s-1, and a variable of gauge ids marked ``cf_role =
"timeseries_id"``. Days are matched by date, gauges by id. A day counts for a gauge when both flows
are finite; the first --warm-up-days of the simulation, in which the model's stores still fill,
never count. A gauge is scored when at least --min-days days (365: one year, so that each season
weighs) count. Of the 168 gauges of the Delaware sample 101 are: 65 have no observation in those
two years, and two have 92 and 201 days after the warm-up.

With S simulated, O observed, n days, m a mean, s a standard deviation (n - 1), r Pearson's
correlation of S and O:

NSE    1 - sum (S - O)^2 / sum (O - m(O))^2
       Nash, Sutcliffe 1970, Journal of Hydrology 10, 282-290. 1 is perfect, 0 the mean of O.
KGE    1 - sqrt((r - 1)^2 + (s(S)/s(O) - 1)^2 + (m(S)/m(O) - 1)^2)
       Gupta et al. 2009, Journal of Hydrology 377, 80-91 (the form of 2009; that of 2012 divides
       by the means inside the second term). 1 is perfect, -0.41 the mean of O.
PBIAS  100 (m(S) - m(O)) / m(O), in %; positive: too much water is simulated.
       (Moriasi et al. 2007, Transactions of the ASABE 50, 885-900, use the opposite sign.)

``HydroErr`` computes them (nse; kge_2009; me, the mean error). A metric without a value, as NSE
when O never changes, is an empty cell in the table, null in the summary, and left out of medians.

Writes   output/scores.csv: gauge, n, nse, kge, pbias; a line per scored gauge, sorted by id;
         output/summary.json: the counts, the period scored, the medians, the plotted gauges;
         output/hydrograph.png: observed and simulated flow of up to three gauges.
Ends     with status 0, or 2 and one sentence on stderr when an input can't be scored.
"""

import argparse
import csv
import json
import math
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A worker has no display; matplotlib reads this when it is imported.
os.environ["MPLBACKEND"] = "Agg"

import HydroErr
import netCDF4
import numpy as np

Array = np.ndarray[Any, Any]

CUBIC_METRES_PER_CUBIC_FOOT = 0.3048**3  # the international foot, exact
UNITS = {
    "m3 s-1": 1.0,
    "m3/s": 1.0,
    "m^3/s": 1.0,
    "cms": 1.0,
    "ft3 s-1": CUBIC_METRES_PER_CUBIC_FOOT,
    "ft3/s": CUBIC_METRES_PER_CUBIC_FOOT,
    "ft^3/s": CUBIC_METRES_PER_CUBIC_FOOT,
    "cfs": CUBIC_METRES_PER_CUBIC_FOOT,
}
METRICS = ("nse", "kge", "pbias")
# The largest tributary, the upper main stem, and the main stem where the tide begins.
GAUGES = ("01472000", "01434000", "01463500")


class InputError(Exception):
    """An input can't be scored; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Daily flow at gauges."""

    gauges: list[str]
    names: dict[str, str]  # the station's name by gauge; empty if the file has none
    days: Array  # datetime64[D], ascending (time,)
    values: Array  # m3 s-1, float64, NaN where missing (time, gauge)


@dataclass(frozen=True, slots=True)
class Score:
    """The metrics of one gauge over n days; NaN where a metric has no value."""

    gauge: str
    n: int
    nse: float
    kge: float
    pbias: float


def score_gauge(gauge: str, simulated: Array, observed: Array) -> Score:
    """Score one gauge over the days on which both flows (m3 s-1, (time,)) are finite.

    The formulas stand at the top of this file. Without such a day every metric is NaN.
    """
    both = np.isfinite(simulated) & np.isfinite(observed)
    s, o = simulated[both], observed[both]
    if o.size == 0:
        return Score(gauge, 0, math.nan, math.nan, math.nan)
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        # A constant or dry series leaves a metric without a value; that is reported as NaN.
        warnings.simplefilter("ignore")
        nse = float(HydroErr.nse(s, o))
        kge = float(HydroErr.kge_2009(s, o))
        pbias = float(100 * HydroErr.me(s, o) / np.mean(o))
    nse, kge, pbias = (value if math.isfinite(value) else math.nan for value in (nse, kge, pbias))
    return Score(gauge, int(o.size), nse, kge, pbias)


def median(scores: list[Score], metric: str) -> float:
    """Return the median of a metric over the gauges where it has a value, or NaN."""
    values = [getattr(score, metric) for score in scores]
    finite = [value for value in values if math.isfinite(value)]
    return float(np.median(finite)) if finite else math.nan


def read_flow(folder: Path) -> Flow:
    """Read the only NetCDF file below the folder.

    Raises InputError if there isn't exactly one, or it lacks ids, flow, or one value a day.
    """
    paths = sorted(folder.rglob("*.nc"))
    if len(paths) != 1:
        raise InputError(f"{folder} holds {len(paths)} NetCDF files; exactly one is needed")
    with netCDF4.Dataset(paths[0]) as file:
        ids = [v for v in file.variables.values() if getattr(v, "cf_role", "") == "timeseries_id"]
        if len(ids) != 1:
            raise InputError(f"{paths[0].name} marks no variable with cf_role timeseries_id")
        gauge_dimension = ids[0].dimensions[0]
        gauges = [str(gauge).strip() for gauge in ids[0][:]]
        variable = flow_variable(file, gauge_dimension)
        values = np.ma.filled(np.ma.asarray(variable[:], dtype=np.float64), np.nan)
        if variable.dimensions[0] == gauge_dimension:
            values = values.T
        values = np.where(np.isfinite(values), values, np.nan) * UNITS[variable.units]
        names = {}
        if "poi_name" in file.variables:
            names = dict(zip(gauges, (str(name) for name in file["poi_name"][:]), strict=True))
        return Flow(gauges, names, read_days(file), values)


def flow_variable(file: netCDF4.Dataset, gauge_dimension: str) -> Any:
    """Return the only ``netCDF4.Variable`` over time and gauges that has the units of a flow."""
    over = {"time", gauge_dimension}
    found = [
        variable
        for variable in file.variables.values()
        if set(variable.dimensions) == over and getattr(variable, "units", None) in UNITS
    ]
    if len(found) != 1:
        raise InputError(
            f"{Path(file.filepath()).name} holds {len(found)} variables of flow over time and "
            f"gauges; exactly one is needed, with units of {', '.join(UNITS)}"
        )
    return found[0]


def read_days(file: netCDF4.Dataset) -> Array:
    """Return the days of the time variable as datetime64[D]; raise InputError if one repeats."""
    time = file["time"]
    stamps: Any = netCDF4.num2date(time[:], time.units, getattr(time, "calendar", "standard"))
    days = np.array([f"{stamp:%Y-%m-%d}" for stamp in stamps], dtype="datetime64[D]")
    if np.any(np.diff(days) <= np.timedelta64(0, "D")):
        raise InputError(f"{Path(file.filepath()).name} doesn't hold one ascending value a day")
    return days


def align(observed: Flow, simulated: Flow, warm_up_days: int) -> tuple[Flow, Flow]:
    """Cut both to the gauges that both hold and the days that both hold after the warm-up.

    Raises InputError if nothing is left.
    """
    first = simulated.days[0] + np.timedelta64(warm_up_days, "D")
    days, o_rows, s_rows = np.intersect1d(observed.days, simulated.days, return_indices=True)
    late = days >= first
    days, o_rows, s_rows = days[late], o_rows[late], s_rows[late]
    gauges = sorted(set(observed.gauges) & set(simulated.gauges))
    if not gauges or not days.size:
        raise InputError(
            f"no {'day' if gauges else 'gauge'} is in both inputs after {warm_up_days} days of "
            f"warm-up: observed {observed.days[0]} to {observed.days[-1]}, simulated "
            f"{simulated.days[0]} to {simulated.days[-1]}"
        )

    def cut(flow: Flow, rows: Array) -> Flow:
        columns = [flow.gauges.index(gauge) for gauge in gauges]
        return Flow(gauges, flow.names, days, flow.values[rows][:, columns])

    return cut(observed, o_rows), cut(simulated, s_rows)


def score_all(observed: Flow, simulated: Flow, min_days: int) -> list[Score]:
    """Score every gauge of two aligned flows that has at least min_days days."""
    scores = [
        score_gauge(gauge, simulated.values[:, column], observed.values[:, column])
        for column, gauge in enumerate(observed.gauges)
    ]
    return [score for score in scores if score.n >= min_days]


def choose_gauges(scores: list[Score], wanted: list[str]) -> list[Score]:
    """Return the wanted gauges that were scored; if none was, the three with the best NSE."""
    by_gauge = {score.gauge: score for score in scores}
    chosen = [by_gauge[gauge] for gauge in wanted if gauge in by_gauge]
    best = sorted(scores, key=lambda score: -score.nse if score.nse == score.nse else math.inf)
    return chosen or best[:3]


def write_scores(path: Path, scores: list[Score]) -> None:
    """Write a line per gauge; six decimals, an empty cell where a metric has no value."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["gauge", "n", *METRICS])
        for score in scores:
            values = [getattr(score, metric) for metric in METRICS]
            cells = [f"{value:.6f}" if math.isfinite(value) else "" for value in values]
            writer.writerow([score.gauge, score.n, *cells])


def summarize(observed: Flow, scores: list[Score], chosen: list[Score], warm_up: int) -> Any:
    """Return the summary as JSON's types; a number without a value is None."""

    def number(value: float) -> float | None:
        return round(value, 6) if math.isfinite(value) else None

    return {
        "gauges": {
            "in_both_inputs": len(observed.gauges),
            "scored": len(scores),
            "with_too_few_days": len(observed.gauges) - len(scores),
        },
        "period": {
            "warm_up_days": warm_up,
            "first_day": str(observed.days[0]),
            "last_day": str(observed.days[-1]),
        },
        "median": {metric: number(median(scores, metric)) for metric in METRICS},
        "plotted": {
            score.gauge: {
                "name": observed.names.get(score.gauge, ""),
                "n": score.n,
                **{metric: number(getattr(score, metric)) for metric in METRICS},
            }
            for score in chosen
        },
    }


def print_table(observed: Flow, scores: list[Score], chosen: list[Score]) -> None:
    """Print the medians and the chosen gauges."""
    print(f"{observed.days[0]} to {observed.days[-1]}, {len(scores)} gauges scored")
    print(f"{'gauge':<10} {'days':>5} {'NSE':>7} {'KGE':>7} {'PBIAS %':>8}  station")
    medians = [median(scores, metric) for metric in METRICS]
    print(f"{'median':<10} {'':>5} {medians[0]:>7.3f} {medians[1]:>7.3f} {medians[2]:>8.1f}")
    for score in chosen:
        name = observed.names.get(score.gauge, "")
        row = f"{score.gauge:<10} {score.n:>5} {score.nse:>7.3f} {score.kge:>7.3f}"
        print(f"{row} {score.pbias:>8.1f}  {name}".rstrip())


def plot(
    path: Path, observed: Flow, simulated: Flow, scores: list[Score], chosen: list[Score]
) -> None:
    """Draw observed and simulated flow of the chosen gauges, one panel each."""
    from matplotlib import dates
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        len(chosen), 1, figsize=(11, 0.5 + 3.1 * len(chosen)), sharex=True, squeeze=False
    )
    figure.suptitle(
        f"Daily flow, {len(scores)} gauges scored: median NSE {median(scores, 'nse'):.3f}, "
        f"KGE {median(scores, 'kge'):.3f}, PBIAS {median(scores, 'pbias'):+.1f} %",
        fontsize=12,
    )
    # Steps, not slopes: each value is the mean of a day.
    for axis, score in zip(axes[:, 0], chosen, strict=True):
        column = observed.gauges.index(score.gauge)
        o, s = observed.values[:, column], simulated.values[:, column]
        axis.fill_between(observed.days, 0, o, step="post", color="#c9d6e2", linewidth=0)
        axis.step(observed.days, o, where="post", color="#1f4e79", lw=1.1, label="observed (USGS)")
        axis.step(
            simulated.days, s, where="post", color="#d1495b", lw=1.1, label="simulated (PRMS)"
        )
        name = observed.names.get(score.gauge, "")
        axis.set_title(f"{score.gauge}  {name}", loc="left", fontsize=11, fontweight="bold")
        metrics = f"NSE {score.nse:.3f}   KGE {score.kge:.3f}   PBIAS {score.pbias:+.1f} %"
        axis.set_title(metrics, loc="right", fontsize=11)
        axis.set_ylabel("flow, m³ s⁻¹")
        axis.set_ylim(bottom=0)
        axis.margins(x=0)
        axis.grid(alpha=0.3, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(loc="upper right", frameon=False, ncols=2)
    # About nine labels, whatever the length of the period.
    months = max(1, round((observed.days[-1] - observed.days[0]).astype(int) / 30.4 / 9))
    axes[-1, 0].xaxis.set_major_locator(dates.MonthLocator(interval=months))
    axes[-1, 0].xaxis.set_major_formatter(dates.DateFormatter("%b %Y"))
    figure.tight_layout(h_pad=1.6)
    # Without the library's version in the file the same flows give the same bytes.
    figure.savefig(path, dpi=130, metadata={"Software": None})
    plt.close(figure)


def parse_arguments() -> argparse.Namespace:
    def days(text: str) -> int:
        if not text.isdecimal():
            raise argparse.ArgumentTypeError("a whole number of days, 0 or more")
        return int(text)

    parser = argparse.ArgumentParser(description="Score simulated against observed daily flow.")
    parser.add_argument("--observations", type=Path, required=True, metavar="DIR")
    parser.add_argument("--simulation", type=Path, required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--warm-up-days", type=days, default=180, metavar="N")
    parser.add_argument("--min-days", type=days, default=365, metavar="N")
    parser.add_argument("--gauges", nargs="+", default=list(GAUGES), help="to print and plot")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    try:
        observed, simulated = align(
            read_flow(arguments.observations),
            read_flow(arguments.simulation),
            arguments.warm_up_days,
        )
        scores = score_all(observed, simulated, arguments.min_days)
        if not scores:
            raise InputError(
                f"no gauge has {arguments.min_days} observed days between {observed.days[0]} and "
                f"{observed.days[-1]}; simulate longer or lower --min-days"
            )
    except InputError as error:
        print(f"score.py: {error}", file=sys.stderr)
        return 2
    chosen = choose_gauges(scores, arguments.gauges)
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    write_scores(output / "scores.csv", scores)
    summary = summarize(observed, scores, chosen, arguments.warm_up_days)
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    (output / "summary.json").write_text(text + "\n", encoding="utf-8")
    plot(output / "hydrograph.png", observed, simulated, scores, chosen)
    print_table(observed, scores, chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
