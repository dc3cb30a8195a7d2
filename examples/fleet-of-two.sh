#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fleet-of-two.sh BUILD_FOLDER EXPERIMENT [DATA_FOLDER]: runs an experiment on two real nodes on this machine to its end,
# with the programs my-dunlin and my-dunlin-node of the build folder; then again, where DATA_FOLDER has left.csv and
# right.csv, on what the nodes bring.
set -euo pipefail
experiment=$(realpath "$2")
data=${3:+$(realpath "$3")}
PATH=$(cd "$1" && pwd):$PATH
work=$(mktemp -d)
started=()
trap '((${#started[@]} == 0)) || { kill "${started[@]}" || true; wait; }; rm -rf "$work"' EXIT
cd "$work"

export DUNLIN_FLEET=$work/store
field() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/"; }
server_key=$(my-dunlin fleet init --listen tcp://127.0.0.1:0 --metrics off --json | field server_key)
for name in left right; do
    my-dunlin fleet admit "$name" "$(my-dunlin-node init --dir "$name")"
done
my-dunlin fleet serve &
started+=($!)
until endpoint=$(my-dunlin fleet status --json | field endpoint) && [[ $endpoint == tcp://*:[1-9]* ]]; do
    kill -0 "${started[0]}"
    sleep 0.1
done
for name in left right; do
    my-dunlin-node run --dir "$name" --name "$name" ${data:+--data "$data/$name.csv"} --join "$endpoint" --server-key "$server_key" &
    started+=($!)
done
my-dunlin fleet wait --for=nodes=2 --timeout 30
my-dunlin fleet run "$experiment"
my-dunlin fleet wait --for=finished --job 1 --timeout 60
my-dunlin fleet pull --job 1 --out pulled.dunlin
my-dunlin inspect pulled.dunlin

[[ -n $data ]] || exit 0
my-dunlin fleet run "$experiment" --set data.source=nodes
my-dunlin fleet wait --for=reported --job 2 --timeout 60
my-dunlin fleet status 2 --json | grep -c '"accuracy"'
