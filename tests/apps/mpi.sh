#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs of a sweep and of a comparison that are spread over ranks give what one process gives, and so does one run whose
# nodes are.
# usage: mpi.sh DUNLIN MPIRUN
set -euo pipefail
dunlin=$1 mpirun=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# Inside a container every user is root, and there are fewer processors than ranks.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
# What MPI itself never gives back is not Dunlin's.
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
ranks=("$mpirun" --oversubscribe -n 4 "$dunlin")
fail() {
    echo "mpi.sh: $*" >&2
    exit 1
}

small=(--set method.rounds=120 --set environment.agents=6 --set network.probability=0.6
    --set report.personalisation=false --set report.robustness=false --quiet)
for command in "sweep regression --grid adaptation.steps=1,2 --seeds 3" "compare regression --methods dpsgd,gnsd --seeds 2"; do
    rm -rf one four
    # shellcheck disable=SC2086 # the words are arguments
    "$dunlin" $command "${small[@]}" --out one >one.txt
    # shellcheck disable=SC2086
    "${ranks[@]}" $command "${small[@]}" --out four >four.txt
    cmp one.txt four.txt || fail "$command prints something else on four ranks"
    cmp one/comparison.csv four/comparison.csv || fail "$command: other numbers on four ranks"
done

# Several runs at a time on each rank, whose questions are longer than what MPI sends without being listened to.
long=$(printf 'x%.0s' {1..6000})
timeout 60 "${ranks[@]}" sweep regression --grid adaptation.steps=1,2,3 --seeds 4 --threads 2 \
    --set network.file="$long" "${small[@]}" --out long >/dev/null || fail "long questions on two threads a rank"
# Ranks in other folders are told what the configuration says, not where it is.
mkdir -p here there
(cd here && "$dunlin" sweep regression --grid adaptation.steps=1,2 --seeds 1 "${small[@]}" --out run >/dev/null)
rm here/run/trials/*
"$mpirun" --oversubscribe -n 1 -wdir "$work/here" "$dunlin" sweep --resume run --quiet : \
    -n 1 -wdir "$work/there" "$dunlin" sweep --resume run --quiet >/dev/null || fail "a resumed sweep in two folders"

status=0
"${ranks[@]}" sweep regression --grid adaptation.steps=99 --out wrong >/dev/null 2>wrong.txt || status=$?
[[ $status == 2 ]] || fail "wrong input ends with $status"
[[ $(grep -c '^dunlin: ' wrong.txt) == 1 ]] || fail "wrong input is said by several ranks"
status=0
"${ranks[@]}" train navigation --out train >/dev/null 2>train.txt || status=$?
[[ $status == 2 ]] || fail "train on four ranks ends with $status"
grep -q 'dunlin sweep' train.txt || fail "train on four ranks does not say what can be done"
[[ ! -e train ]] || fail "train on four ranks made a directory"

# One run whose nodes are spread: all but what it took is the same to the bit.
short=(--set clock.budget_s=6 --set report.evaluations=2 --set data.clients=10 --quiet)
same() {
    cmp "$1/metrics.csv" "$2/metrics.csv" || fail "$3: other numbers"
    cmp "$1/model.dunlin" "$2/model.dunlin" || fail "$3: another model"
    diff <(grep -v '"seconds"' "$1/summary.json") <(grep -v '"seconds"' "$2/summary.json") || fail "$3: another summary"
    grep -q '"trace": "[0-9a-f]\{16\}"' "$2/summary.json" || fail "$3: no trace"
}
while read -r count method; do
    rm -rf one several
    "$dunlin" train classification --method "$method" "${short[@]}" --out one >one.txt 2>/dev/null
    "$mpirun" --oversubscribe -n "$count" "$dunlin" train classification --method "$method" "${short[@]}" \
        --out several >several.txt 2>several.err </dev/null || fail "$method on $count ranks: $(cat several.err)"
    cmp one.txt several.txt || fail "$method on $count ranks prints something else"
    same one several "$method on $count ranks"
done <<'METHODS'
2 pars-push
4 pars-push
2 persafl-me
4 fedavg
METHODS
grep -q '"mass_error": 0' one/summary.json && fail "fedavg has no mass"
# Policies too, also where layers stay with their nodes.
policies=(--set environment.nodes=5 --set environment.map=empty-4x4 --set environment.horizon=8 --set policy.hidden=[6]
    --set adaptation.trajectories=4 --set adaptation.steps=2 --set report.adaptations=2 --set report.evaluate_every=10
    --set method.rounds=20 --set method.settling_rounds=5 --set report.centralised=false --set hgp.inner_steps=3
    --set hgp.neumann_steps=2 --quiet)
for method in pars-push spdb persafl-me hgp local global; do
    rm -rf one several
    "$dunlin" train fleet-navigation --method $method "${policies[@]}" --out one >one.txt 2>/dev/null
    "$mpirun" --oversubscribe -n 3 "$dunlin" train fleet-navigation --method $method "${policies[@]}" --out several \
        >several.txt 2>several.err </dev/null || fail "$method of policies on 3 ranks: $(cat several.err)"
    diff one.txt several.txt || fail "$method of policies on 3 ranks prints something else"
    cmp one/policy.dunlin several/policy.dunlin || fail "$method of policies on 3 ranks: other policies"
    diff <(grep -v '"seconds"' one/summary.json) <(grep -v '"seconds"' several/summary.json) || fail "$method of policies: another summary"
done
# So do agents whose figure the first rank makes alone, and those that agree with nobody.
digits=(--set data.rows=300 --set method.iterations=12 --set report.evaluations=2 --set report.limited_rows=0 --quiet)
rm -rf one several
"$dunlin" train spdb-digits "${digits[@]}" --out one >one.txt 2>/dev/null
"$mpirun" --oversubscribe -n 2 "$dunlin" train spdb-digits "${digits[@]}" --out several >several.txt 2>several.err \
    </dev/null || fail "spdb on 2 ranks: $(cat several.err)"
cmp one.txt several.txt || fail "spdb on 2 ranks prints something else"
same one several "spdb on 2 ranks"
for axes in "regression maml local" "regression moreau global" "spdb-digits plain local" "spdb-digits bilevel hgp" "classification bilevel hgp"; do
    read -r experiment objective aggregation <<<"$axes"
    words=("$experiment" --set objective.name="$objective" --set aggregation.name="$aggregation")
    case $experiment in
        regression) words+=("${small[@]}") ;;
        classification) words+=("${short[@]}" --set hgp.inner_steps=2 --set hgp.neumann_steps=2) ;;
        *) words+=("${digits[@]}" --set hgp.inner_steps=3 --set hgp.neumann_steps=2) ;;
    esac
    rm -rf one several
    "$dunlin" train "${words[@]}" --out one >one.txt 2>/dev/null || fail "$axes"
    "$mpirun" --oversubscribe -n 4 "$dunlin" train "${words[@]}" --out several >several.txt 2>several.err </dev/null ||
        fail "$axes on 4 ranks: $(cat several.err)"
    cmp one.txt several.txt || fail "$axes on 4 ranks prints something else"
    same one several "$axes on 4 ranks"
done
# Stopped and gone on by another number of ranks.
rm -rf one several
"$dunlin" train classification --method pars-push "${short[@]}" --out one >/dev/null 2>&1
"$mpirun" --oversubscribe -n 2 "$dunlin" train classification --method pars-push "${short[@]}" \
    --set clock.budget_s=3 --out several >/dev/null 2>&1
"$mpirun" --oversubscribe -n 3 "$dunlin" train --resume several --set clock.budget_s=6 >/dev/null 2>&1 ||
    fail "a run on two ranks does not go on on three"
[[ $(grep '"trace"' one/summary.json) == $(grep '"trace"' several/summary.json) ]] || fail "a resumed run went another way"
# What only the first can find out ends all.
status=0
"$mpirun" --oversubscribe -n 2 "$dunlin" train classification "${short[@]}" --out one >/dev/null 2>taken.txt || status=$?
[[ $status != 0 ]] && grep -q 'holds a run already' taken.txt || fail "a directory that is taken ends with $status"
# Agents that push hyper-gradients, and those of them who say nothing, do on ranks what they do in one process.
mixture=(--set data.agents=7 --set data.rows=400 --set data.side=6 --set model.hidden=[6] --set model.predictors=2
    --set method.inner_steps=12 --set method.outer_steps=2 --set method.neumann_steps=3 --set report.peers=false --quiet)
for method in pdbo-mtl pdbo-mtl-local local; do
    rm -rf one several
    "$dunlin" train pdbo --method $method "${mixture[@]}" --out one >one.txt 2>/dev/null
    "$mpirun" --oversubscribe -n 3 "$dunlin" train pdbo --method $method "${mixture[@]}" --out several >several.txt \
        2>several.err </dev/null || fail "$method on 3 ranks: $(cat several.err)"
    cmp one.txt several.txt || fail "$method on 3 ranks prints something else"
    same one several "$method on 3 ranks"
done
rm -rf several
"$mpirun" --oversubscribe -n 3 "$dunlin" train pdbo --method pdbo-mtl "${mixture[@]}" --set method.outer_steps=1 --out several \
    >/dev/null 2>&1 </dev/null
"$mpirun" --oversubscribe -n 2 "$dunlin" train --resume several --set method.outer_steps=2 --quiet >/dev/null 2>several.err \
    </dev/null || fail "hyper-gradient push goes on on 2 ranks: $(cat several.err)"
rm -rf one
"$dunlin" train pdbo --method pdbo-mtl "${mixture[@]}" --out one >/dev/null 2>&1
same one several "hyper-gradient push that went on on 2 ranks"
status=0
"$mpirun" --oversubscribe -n 3 "$dunlin" train pdbo "${mixture[@]}" --set method.inner_rate=900 --set method.largest_value=50 \
    --out wild >/dev/null 2>wild.txt </dev/null || status=$?
[[ $status == 1 && $(grep -c 'the steps are too large' wild.txt) == 1 ]] || fail "agents that diverge on 3 ranks end with $status: $(cat wild.txt)"
