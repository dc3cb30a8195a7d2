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
my-dunlin train --config "$experiment" --out trained --quiet
my-dunlin adapt trained --quiet
my-dunlin compare --config "$experiment" --methods persafl-me,pars-push --seeds 2 --out compared --quiet
my-dunlin sweep --config "$experiment" --grid data.offset=0,2 --out swept --quiet
"$here/../fleet-of-two.sh" "$build" "$experiment"
