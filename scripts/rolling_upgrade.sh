#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Does a running fleet bear it that its machines are upgraded one after the other?
set -euo pipefail

case ${1:-} in
    --help | -h | '')
        cat <<'HELP'
scripts/rolling_upgrade.sh OLD NEW

OLD and NEW are folders that hold dunlin and dunlin-node. Four fleets of three nodes on this machine each run one job, with a
server and without, and are upgraded from OLD to NEW while it runs: the coordinator first and then node by node, or the nodes
first. Each job must end as if nothing had been: all members report, and without a server no mass is lost.
HELP
        exit 0
        ;;
esac
old=$(cd "$1" && pwd)
new=$(cd "${2:?the folder of the newer programs is missing; see --help}" && pwd)
work=$(mktemp -d)
declare -A process=()
stop_all() {
    ((${#process[@]} == 0)) || kill "${process[@]}" 2>/dev/null || true
    wait
    process=()
}
trap 'stop_all; rm -rf "$work"' EXIT

field() { sed -E "s/.*\"$1\":\"?([^\",}]*).*/\1/"; }
die() {
    printf '%s\n' "$@" >&2
    tail -n 20 "$work"/*/*.log >&2
    exit 1
}

# A port that nobody has: what a coordinator that could choose took.
free_port() {
    DUNLIN_FLEET=$work/port "$new/dunlin" fleet init --listen tcp://127.0.0.1:0 --metrics off --quiet >/dev/null
    DUNLIN_FLEET=$work/port "$new/dunlin" fleet serve --quiet >/dev/null 2>&1 &
    local serve=$! endpoint=
    until endpoint=$(DUNLIN_FLEET=$work/port "$new/dunlin" fleet status --json 2>/dev/null | field endpoint) &&
        [[ $endpoint == tcp://*:[1-9]* ]]; do
        kill -0 "$serve"
        sleep 0.05
    done
    kill "$serve"
    wait "$serve" || true
    rm -rf "$work/port"
    echo "${endpoint##*:}"
}

# start WHO PROGRAMS: the coordinator or a node, with these programs.
start() {
    local who=$1 programs=$2
    if [[ $who == coordinator ]]; then
        "$programs/dunlin" fleet serve >>"$folder/$who.log" 2>&1 &
    else
        "$programs/dunlin-node" run --dir "$folder/$who" --name "$who" --join "$endpoint" --server-key "$server_key" \
            >>"$folder/$who.log" 2>&1 &
    fi
    process[$who]=$!
}
upgrade() {
    kill "${process[$1]}"
    wait "${process[$1]}" || true
    start "$1" "$new"
    # With a coordinator that was just started a request may find nobody yet.
    local tries
    for tries in {1..100}; do
        "$new/dunlin" fleet wait --for=nodes=3 --timeout 60 --quiet >/dev/null 2>&1 && return
        sleep 0.1
    done
    die "$1 was upgraded, and the fleet did not come together again"
}

# try_upgrade ORDER METHOD
try_upgrade() {
    local order=$1 method=$2 name status books
    folder=$work/$method-${order%% *}
    mkdir "$folder"
    export DUNLIN_FLEET=$folder/store
    endpoint=tcp://127.0.0.1:$port
    server_key=$("$old/dunlin" fleet init --listen "$endpoint" --metrics off --json | field server_key)
    for name in a b c; do
        "$old/dunlin" fleet admit "$name" "$("$old/dunlin-node" init --dir "$folder/$name" 2>/dev/null)" --quiet
    done
    for name in coordinator a b c; do start "$name" "$old"; done
    until "$old/dunlin" fleet wait --for=nodes=3 --timeout 60 --quiet >/dev/null 2>&1; do sleep 0.1; done
    # Long enough to be upgraded meanwhile; it is ended by hand when all have been.
    "$old/dunlin" fleet run classification --set data.clients=3 --set data.rows=300 --set model.hidden=[8] \
        --set federated.method="$method" --set fleet.updates=1000000 --set fleet.tick_ms=10 --quiet >/dev/null
    "$old/dunlin" fleet wait --for=accepted --timeout 60 --quiet
    for name in $order; do upgrade "$name"; done
    "$new/dunlin" fleet stop --job 1 --quiet >/dev/null
    "$new/dunlin" fleet wait --for=reported --job 1 --timeout 60 --quiet || die "not all members reported their models"
    status=$("$new/dunlin" fleet status 1 --json)
    (($(grep -o '"accuracy"' <<<"$status" | wc -l) == 3)) || die "three accuracies were expected: $status"
    if [[ $method == pars-push ]]; then
        books=$("$new/dunlin" fleet ledger --job 1 --json)
        [[ $books == *'"weight_lost":0,'* && $books != *'"weight_lost":'[!0]* ]] || die "weight was lost: $books"
    fi
    stop_all
    echo "$method, ${order%% *} first: all three reported"
}

port=$(free_port)
for method in pars-push persafl; do
    try_upgrade "coordinator a b c" "$method"
    try_upgrade "a b c coordinator" "$method"
done
