#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# try.sh BUILD_FOLDER: trains, compares two methods, and runs a fleet of two real nodes on this machine to its end.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
experiment=$here/my-sensors.toml
build=$(cd "$1" && pwd)
PATH=$build:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

my-dunlin list | grep -w my-sensors
my-dunlin list --combinations | grep -E "^my-sensors +zeromq +moreau .*persafl"
my-dunlin train --config "$experiment" --out trained --quiet
my-dunlin adapt trained --quiet
my-dunlin compare --config "$experiment" --methods persafl-me,pars-push --seeds 2 --out compared --quiet
my-dunlin sweep --config "$experiment" --grid data.offset=0,2 --out swept --quiet
# What each machine recorded itself: left's is sound or worn, right's out of balance or worn.
record() {
    awk -v kind="$1" -v seed="$2" 'BEGIN {
        srand(seed); for (t = 1; t <= 16; ++t) printf "t%d,", t; print "state"
        for (k = 0; k < 100; ++k) {
            worn = rand() < 0.5
            for (t = 0; t < 16; ++t) {
                second = !worn && kind == "unbalanced" ? 0.5 * cos(t * 0.7854) : 0
                printf "%.4f,", sin(t * 0.3927) + second + (worn ? 2 : 0.4) * (rand() - 0.5)
            }
            print worn ? "worn" : kind
        }
    }'
}
record sound 1 >left.csv
record unbalanced 2 >right.csv
"$here/../fleet-of-two.sh" "$build" "$experiment" "$work"
