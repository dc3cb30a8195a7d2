#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Do the tables of docs/results.md still come out? Their learning experiments again, for seed 1.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

recorded=$root/docs/results-seed-1.csv
case ${1:-} in
    --help | -h)
        cat <<HELP
scripts/check_results.sh [--against DUNLIN | --write] [--only TABLE]... [DUNLIN]

Runs each learning experiment of docs/results.md for seed 1 with DUNLIN (build/apps/dunlin) and says which figures moved
from those in docs/results-seed-1.csv. Instruction sets round differently, so a figure has moved where it differs by more
than one part in a hundred; with --against OLD both programs run here, and any bit counts.

  --against OLD  compares with another dunlin instead, bit for bit: before and after a change
  --write        records what comes out, and keeps what is recorded of the other tables
  --only TABLE   only these; the tables: $(sed -nE 's/^    "([a-z0-9-]+);.*/\1/p' "${BASH_SOURCE[0]}" | tr '\n' ' ')

Data sets that are not in a package are looked for in \$DUNLIN_DATA (mnist, wisdm-v1.1/WISDM_ar_v1.1_transformed.arff.gz, ml-rank-A,
movingai-maps): a table without its data is left out, and that is said. Ends with 1 where a figure moved.
HELP
        exit 0
        ;;
esac

# Name; data below \$DUNLIN_DATA, or nothing; experiment; methods, or nothing for the experiment's own; settings.
tables=(
    "navigation-5x5;;navigation-5x5;memrl;"
    "navigation;;navigation;memrl,maml,fomaml,reptile,scratch;"
    "navigation-10x10;;navigation-10x10;memrl;"
    "navigation-10x10-dense;;navigation-10x10-dense;memrl;"
    "goals;movingai-maps/empty-16-16.map;navigation-goals;memrl,reptile,fomaml;environment.map=DATA"
    "memory;;navigation-memory;rl2;"
    "point-navigation;;point-navigation;memrl,maml,fomaml,reptile,scratch;"
    "classification;;classification;persafl,persafl-maml,persafl-me,fedavg,per-fedavg,pfedme;"
    "classification-conflict;;classification-conflict;persafl,persafl-maml,persafl-me,fedavg,per-fedavg,pfedme,local;"
    "activity;wisdm-v1.1/WISDM_ar_v1.1_transformed.arff.gz;activity;persafl,persafl-me,global,local;data.path=DATA"
    "ranking;ml-rank-A;ranking;persafl-me,local,global;data.path=DATA"
    "ranking-10;ml-rank-A;ranking;persafl-me,local,global;data.path=DATA data.latest_queries=10"
    "regression;;regression;;"
    "regression-5;;regression;;adaptation.steps=5"
    "regression-groups;;regression-groups;;"
    "fleet-navigation;;fleet-navigation;pars-push,sgp;report.centralised=false"
    "fleet-navigation-server;;fleet-navigation-server;;"
    "spdb-digits;mnist;spdb-digits;spdb,d2,gnsd,dsgd;data.path=DATA"
    "spdb-digits-limited;mnist;spdb-digits-limited;spdb,d2,gnsd,dsgd;data.path=DATA"
    "spdb-digits-permuted;;spdb-digits-permuted;spdb,d2,gnsd,dsgd,alone;"
    "spdb-transform;wisdm-v1.1/WISDM_ar_v1.1_transformed.arff.gz;spdb-transform;spdb,d2,gnsd,dsgd,alone;data.path=DATA"
    "pdbo-characters;;pdbo-characters;pdbo-mtl,pdbo-mtl-local,sgp,local;"
    "pdbo-conflict;;pdbo-conflict;pdbo-mtl,pdbo-mtl-local,sgp,local;"
    "pdbo;;pdbo;pdbo-mtl,pdbo-mtl-local,sgp,local;"
)

against= write=false only=() program=$root/build/apps/dunlin
while (($# > 0)); do
    case $1 in
        --against) against=$(realpath "${2:?--against wants a program}") && shift ;;
        --write) write=true ;;
        --only) only+=("${2:?--only wants a table}") && shift ;;
        -*) die "there is no option '$1'. See scripts/check_results.sh --help" ;;
        *) program=$1 ;;
    esac
    shift
done
program=$(realpath "$program")
[[ -x $program ]] || die "$program: no program; build it (scripts/demo.sh), or name another"
for name in ${only[@]+"${only[@]}"}; do
    printf '%s\n' "${tables[@]}" | grep -q "^$name;" || die "there is no table '$name'. See scripts/check_results.sh --help"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# figures PROGRAM TABLE > "table,method,figure,value" lines. A method that fails is a figure, too.
figures() {
    local dunlin=$1 name data experiment methods settings arguments=() setting
    IFS=';' read -r name data experiment methods settings <<<"$2"
    for setting in $settings; do arguments+=(--set "${setting/DATA/${DUNLIN_DATA:-}/$data}"); done
    [[ -z $methods ]] || arguments+=(--methods "$methods")
    rm -rf "$work/run"
    "$dunlin" compare "$experiment" "${arguments[@]}" --seeds 1 --out "$work/run" --quiet >/dev/null 2>"$work/errors" || true
    [[ -s $work/run/comparison.csv ]] || { cat "$work/errors" >&2; die "$name: it wrote no comparison.csv"; }
    # Without single tasks, of which a table shows the mean. The last column is a sentence, with commas: that a method
    # fails is what counts.
    awk -F, -v table="$name" 'NR == 1 { for (k = 3; k <= NF; ++k) figure[k] = $k; last = NF; next }
        { for (k = 3; k < last; ++k) if (figure[k] !~ /^task[0-9]+_/) print table "," $1 "," figure[k] "," $k
          print table "," $1 ",failed," ($last == "" ? "no" : "yes") }' "$work/run/comparison.csv"
}

# moved BEFORE NOW TOLERANCE: prints the lines of BEFORE that are otherwise in NOW.
moved() {
    awk -F, -v tolerance="$3" 'NR == FNR { now[$1 "," $2 "," $3] = $4; known[$1 "," $2 "," $3] = 1; next }
        { key = $1 "," $2 "," $3
          if (!known[key]) { print key ": " $4 ", and now there is no such figure"; next }
          if (now[key] == $4) next
          away = now[key] - $4; size = ($4 < 0 ? -$4 : $4); if (away < 0) away = -away
          if (tolerance == 0 || $4 !~ /^[-0-9.e+]+$/ || now[key] !~ /^[-0-9.e+]+$/ || away > tolerance * size)
              print key ": " $4 ", now " now[key] }' "$2" "$1"
}

status=0
for table in "${tables[@]}"; do
    name=${table%%;*}
    data=$(cut -d';' -f2 <<<"$table")
    if ((${#only[@]} > 0)) && ! printf '%s\n' "${only[@]}" | grep -qx "$name"; then continue; fi
    if [[ -n $data && ! -e ${DUNLIN_DATA:-/nowhere}/$data ]]; then
        say "$name: left out, there is no \$DUNLIN_DATA/$data"
        continue
    fi
    figures "$program" "$table" >"$work/now"
    if $write; then
        touch "$recorded"
        { grep -v "^$name," "$recorded" || true; cat "$work/now"; } >"$work/all"
        cp "$work/all" "$recorded"
        say "$name: $(wc -l <"$work/now") figures"
        continue
    fi
    tolerance=0.01
    if [[ -n $against ]]; then
        tolerance=0
        figures "$against" "$table" >"$work/before"
    else
        grep "^$name," "$recorded" >"$work/before" || { say "$name: nothing is recorded"; status=1; continue; }
    fi
    moved "$work/before" "$work/now" "$tolerance" >"$work/moved"
    if [[ -s $work/moved ]]; then
        cat "$work/moved"
        status=1
    else
        say "$name: all $(wc -l <"$work/before") figures are the same"
    fi
done
exit "$status"
