#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# try.sh BUILD_FOLDER: meta-training by a program of its own, then a fleet of ferries, simulated and of two real nodes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
experiment=$here/ferries.toml
build=$(cd "$1" && pwd)
PATH=$build:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

ferry
my-dunlin list | grep -w ferries
my-dunlin list --combinations | grep -E "^ferries +zeromq +moreau .*persafl"
my-dunlin train --config "$experiment" --out trained --quiet
my-dunlin adapt trained --quiet
my-dunlin export trained --format onnx --out ferry.onnx
my-dunlin compare --config "$experiment" --methods pars-push-me,fedavg --seeds 2 --out compared --quiet
"$here/../fleet-of-two.sh" "$build" "$experiment"
