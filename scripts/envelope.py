#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the Moreau envelope earns its name: what its pull (lambda) gains over Reptile, which has none.

Tasks that were never seen, in two parts; seeds that are reported have chosen nothing.

contest   in each scenario both methods try 16 settings on three seeds: MEMRL values of lambda and of the inner rate, Reptile
          values of the interpolation and of the inner rate; the best of each meets ten other seeds.
map       for numbers of inner steps and values of lambda: rate and interpolation are chosen for each on two seeds, lambda = 0
          too; then ten other seeds, paired with lambda = 0. A table, and a picture.

    scripts/envelope.py build/apps/dunlin --out envelope [--part map|contest] [--scenarios few-many,sparse]
"""

import argparse
import csv
import pathlib
import random
import subprocess
import sys

LAMBDAS = [0, 0.03, 0.1, 0.3, 0.9]
RATES = [0.03, 0.1, 0.3, 1]
INTERPOLATIONS = [0.1, 0.2, 0.3, 0.6]
TUNING_SEED = 5001
MEASURE = "held_out_success"

COMMON = {"environment.map": "empty-8x8", "environment.training_tasks": 40, "rl.horizon": 30, "rl.iterations": 60,
          "rl.entropy": 0, "rl.adaptation_steps": 0, "report.evaluate_every": 1000}
SCENARIOS = {
    "few-many": {"rl.trajectories": 5, "rl.inner_steps": 40, "report.adaptation_steps": 40},
    "sparse": {"environment.reward": "sparse", "rl.discount": 0.95, "rl.trajectories": 10, "rl.inner_steps": 20,
               "report.adaptation_steps": 20},
    "unequal": {"environment.permute_actions": "true", "environment.wind_limit": 0.3, "environment.slip_limit": 0.3,
                "rl.trajectories": 10, "rl.inner_steps": 20, "report.adaptation_steps": 20},
    "large": {"policy.hidden": "[256,256]", "rl.iterations": 30, "rl.trajectories": 5, "rl.inner_steps": 20,
              "report.adaptation_steps": 20},
    "few-tasks": {"environment.training_tasks": 4, "rl.task_batch": 4, "rl.iterations": 80, "rl.trajectories": 10,
                  "rl.inner_steps": 20, "report.adaptation_steps": 20},
}


def settings(steps):
    return {**COMMON, "rl.iterations": 30, "rl.trajectories": 5, "rl.inner_steps": steps, "report.adaptation_steps": steps}


def sweep(options, name, fixed, grid, seeds, first):
    """Success by the grid's values: {(value, ...): [of each seed]}."""
    out = options.out / name
    if not (out / "comparison.csv").exists():
        command = [options.dunlin, "sweep", "navigation-goals", "--quiet", "--threads", str(options.threads), "--seeds",
                   str(seeds), "--seed", str(first), "--out", str(out)]
        for key, value in fixed.items():
            command += ["--set", f"{key}={value}"]
        for key, values in grid.items():
            command += ["--grid", f"{key}={','.join(str(value) for value in values)}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
    found = {}
    with open(out / "comparison.csv", newline="") as file:
        for row in csv.DictReader(file):
            if row["failure"]:
                sys.exit(f"{out}: {row['failure']}")
            found.setdefault(tuple(float(row[key]) for key in grid), []).append(float(row[MEASURE]))
    return found


def mean(values):
    return sum(values) / len(values)


def interval(values, draws=10000):
    """95 % of the bootstrap's means."""
    stream = random.Random(1)
    means = sorted(mean(stream.choices(values, k=len(values))) for _ in range(draws))
    return means[int(0.025 * draws)], means[int(0.975 * draws)]


def best(found):
    return max(found, key=lambda key: mean(found[key]))


def gains(options):
    rows = []
    for steps in options.steps:
        fixed = settings(steps)
        tuned = sweep(options, f"tuning-{steps}", fixed, {"rl.prox_weight": LAMBDAS, "rl.inner_rate": RATES[1:],
                                                          "rl.interpolation": [0.1, 0.3]}, 2, TUNING_SEED)
        result = {}
        for weight in LAMBDAS:
            _, rate, interpolation = best({key: value for key, value in tuned.items() if key[0] == weight})
            grid = {"rl.prox_weight": [weight], "rl.inner_rate": [rate], "rl.interpolation": [interpolation]}
            result[weight] = rate, list(sweep(options, f"test-{steps}-{weight}", fixed, grid, options.seeds, 1).values())[0]
        plain = result[0][1]
        for weight, (rate, success) in result.items():
            gain = [mine - theirs for mine, theirs in zip(success, plain)]
            low, high = interval(gain)
            rows.append({"inner_steps": steps, "lambda": weight, "inner_rate": rate, "success": mean(success),
                         "gain": mean(gain), "low": low, "high": high})
            print(f"{steps:4} steps, lambda {weight:5}: rate {rate:5}, success {mean(success):.3f}, "
                  f"gain {mean(gain):+.3f} [{low:+.3f}, {high:+.3f}]", flush=True)
    with open(options.out / "envelope.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    (options.out / "envelope.svg").write_text(picture(rows, options))


def contest(options):
    rows = []
    for scenario in options.scenarios:
        fixed = {**COMMON, **SCENARIOS[scenario]}
        success, chosen = {}, {}
        grids = {"memrl": {"rl.prox_weight": LAMBDAS[1:], "rl.inner_rate": RATES},
                 "reptile": {"rl.interpolation": INTERPOLATIONS, "rl.inner_rate": RATES}}
        for method, grid in grids.items():
            own = {**fixed, "rl.method": method}
            values = best(sweep(options, f"{scenario}-tuning-{method}", own, grid, 3, TUNING_SEED))
            chosen[method] = dict(zip(grid, values))
            one = {key: [value] for key, value in chosen[method].items()}
            success[method] = list(sweep(options, f"{scenario}-{method}", own, one, options.seeds, 1).values())[0]
        difference = [mine - theirs for mine, theirs in zip(success["memrl"], success["reptile"])]
        low, high = interval(difference)
        wins = mean([(a > b) + 0.5 * (a == b) for a in success["memrl"] for b in success["reptile"]])
        rows.append({"scenario": scenario, "memrl": mean(success["memrl"]), "reptile": mean(success["reptile"]),
                     "difference": mean(difference), "low": low, "high": high, "probability_of_improvement": wins,
                     **{f"{method} {key}": value for method in chosen for key, value in chosen[method].items()}})
        print(f"{scenario}: MEMRL {mean(success['memrl']):.3f}, Reptile {mean(success['reptile']):.3f}, paired difference "
              f"{mean(difference):+.3f} [{low:+.3f}, {high:+.3f}], "
              f"{'significant' if low > 0 or high < 0 else 'not significant'}; probability of improvement {wins:.2f}; "
              f"{chosen}", flush=True)
    with open(options.out / "contest.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def picture(rows, options):
    steps = sorted({row["inner_steps"] for row in rows})
    weights = [weight for weight in LAMBDAS if weight > 0]
    width, height, left, top = 92, 46, 84, 66
    largest = max(abs(row["gain"]) for row in rows) or 1.0
    total = left + width * len(weights) + 20, top + height * len(steps) + 64
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total[0]} {total[1]}" width="{total[0]}" '
             f'height="{total[1]}" font-family="sans-serif" font-size="12">',
             f'<rect width="{total[0]}" height="{total[1]}" fill="white"/>',
             f'<text x="{left}" y="20" font-size="13">Success gained over lambda = 0 on unseen goals</text>',
             f'<text x="{left}" y="36" fill="#555">5 trajectories a step, {options.seeds} seeds; '
             'bold: the 95 % interval leaves 0 out</text>']
    for column, weight in enumerate(weights):
        parts.append(f'<text x="{left + (column + 0.5) * width}" y="{top - 8}" text-anchor="middle">{weight}</text>')
    for line, count in enumerate(steps):
        y = top + line * height
        parts.append(f'<text x="{left - 10}" y="{y + height / 2 + 4}" text-anchor="end">{count} steps</text>')
        for column, weight in enumerate(weights):
            row = next(r for r in rows if r["inner_steps"] == count and r["lambda"] == weight)
            share = min(1.0, abs(row["gain"]) / largest)
            end = (33, 102, 172) if row["gain"] > 0 else (178, 24, 43)
            colour = tuple(round(255 + share * (part - 255)) for part in end)
            sure = row["low"] > 0 or row["high"] < 0
            x = left + column * width
            parts.append(f'<rect x="{x}" y="{y}" width="{width - 2}" height="{height - 2}" fill="rgb{colour}"/>')
            ink = "white" if share > 0.6 else "black"
            bold = "bold" if sure else "normal"
            parts.append(f'<text x="{x + width / 2}" y="{y + 20}" text-anchor="middle" fill="{ink}" '
                         f'font-weight="{bold}">{row["gain"]:+.3f}</text>')
            parts.append(f'<text x="{x + width / 2}" y="{y + 36}" text-anchor="middle" fill="{ink}" font-size="10">'
                         f'[{row["low"]:+.3f}, {row["high"]:+.3f}]</text>')
    parts.append(f'<text x="{left + width * len(weights) / 2}" y="{top + height * len(steps) + 24}" '
                 'text-anchor="middle">lambda</text>')
    plain = ", ".join(f'{next(r for r in rows if r["inner_steps"] == s and r["lambda"] == 0)["success"]:.2f}' for s in steps)
    parts.append(f'<text x="{left}" y="{top + height * len(steps) + 46}" fill="#555" font-size="11">Success with lambda = 0, '
                 f'from above: {plain}</text>')
    return "\n".join(parts + ["</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dunlin")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--part", choices=["map", "contest", "both"], default="both")
    parser.add_argument("--steps", type=lambda text: [int(part) for part in text.split(",")], default=[5, 10, 20, 40])
    parser.add_argument("--scenarios", type=lambda text: text.split(","), default=list(SCENARIOS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.part != "contest":
        gains(options)
    if options.part != "map":
        contest(options)


if __name__ == "__main__":
    main()
