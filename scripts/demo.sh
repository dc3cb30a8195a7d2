#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh checkout to a learned policy: installs what is missing, builds `dunlin`, trains on 2-D navigation.
# Arguments are handed to `dunlin train navigation`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
    cat <<'HELP'
scripts/demo.sh [ARGUMENT...]

Installs what is missing (Debian 12; root or sudo), builds Dunlin into build/, and runs
`dunlin train navigation`. Each call writes a new folder: runs/navigation, runs/navigation-2, ...
Arguments go to `dunlin train navigation`, for example:

    scripts/demo.sh --seed 3 --set rl.prox_weight=0.03
HELP
    exit 0
fi

need_packages "${host_packages[@]}"
say "Building dunlin into build/ (minutes the first time, seconds after that)"
(build_preset release dunlin dunlin-node)

# The folder of the run: the caller's, or one that does not exist yet.
out=
previous=
for argument in "$@"; do
    case $previous in --out | --resume) out=$argument ;; esac
    case $argument in --out=* | --resume=*) out=${argument#*=} ;; esac
    previous=$argument
done
arguments=("$@")
if [[ -z $out ]]; then
    out=$root/runs/navigation
    for ((i = 2; ; ++i)); do
        [[ -e $out ]] || break
        out=$root/runs/navigation-$i
    done
    arguments+=(--out "$out")
fi

say "Training: dunlin train navigation ${arguments[*]}"
status=0
"$root/build/apps/dunlin" train navigation "${arguments[@]}" || status=$?

if [[ -f $out/report.html ]]; then
    say ""
    say "Report: $out/report.html (open it in a browser; it needs no network)"
    for plot in "$out"/*.svg; do
        [[ ! -f $plot ]] || say "Plot:   $plot"
    done
fi
exit "$status"
