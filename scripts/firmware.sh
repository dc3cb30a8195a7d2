#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and tests Dunlin's images for microcontrollers, from a fresh machine; `--help` says the rest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'HELP'
scripts/firmware.sh BOARD... [--accept] [--sealed]

Installs what is missing (Debian 12; root or sudo: about 2.4 GB), trains the board's policy on this
machine (seconds), exports it, builds the images for each board and runs them in its emulator: the
board must learn what the host learns, to the bit, and cost no more than firmware-targets/baseline.json
says. Prints flash, RAM and stack of each image. As many boards at a time as there are processors.

  BOARD     a folder in firmware-targets/boards, or `all`
  --accept  writes what was measured into firmware-targets/baseline.json instead of comparing
  --sealed  with mps2-an386: a fleet whose board speaks over a sealed line, too, which takes minutes
HELP
}

boards=()
sealed=
for argument in "$@"; do
    case $argument in
        --accept) export DUNLIN_ACCEPT=1 ;;
        --sealed) sealed=yes ;;
        all)
            for folder in "$root"/firmware-targets/boards/*/board.cmake; do
                boards+=("$(basename "$(dirname "$folder")")")
            done
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            [[ -f $root/firmware-targets/boards/$argument/board.cmake ]] ||
                die "there is no board '$argument' in firmware-targets/boards; see scripts/firmware.sh --help"
            boards+=("$argument")
            ;;
    esac
done
((${#boards[@]} > 0)) || die "which board? See scripts/firmware.sh --help"

preset=${DUNLIN_PRESET:-release}
build=$root/build
[[ $preset == release ]] || build=$root/build-$preset
need_packages "${host_packages[@]}" "${firmware_packages[@]}"
build_preset "$preset" dunlin firmware_tests board_fleet_tests

logs=$(mktemp -d)
declare -A names=()
stop() {
    ((${#names[@]} == 0)) || kill "${!names[@]}" 2>/dev/null || true
    rm -rf "$logs"
}
trap stop EXIT
failed=()

slots=$(nproc)
[[ -z ${DUNLIN_ACCEPT:-} ]] || slots=1 # they write one file

# begin NAME COMMAND...: a job beside others, as many as there are processors; what it says is shown when it has ended.
begin() {
    local name=$1
    shift
    while ((${#names[@]} >= slots)); do end_one; done
    (
        set -e
        SECONDS=0
        trap 'printf "%s\n" "$SECONDS" >"$logs/$name.seconds"' EXIT
        "$@"
    ) >"$logs/$name" 2>&1 </dev/null &
    names[$!]=$name
}
end_one() {
    local process name code=0
    wait -n -p process "${!names[@]}" || code=$?
    name=${names[$process]}
    unset "names[$process]"
    say ""
    say "== $name: $(cat "$logs/$name.seconds") s"
    cat "$logs/$name" >&2
    ((code == 0)) || failed+=("$name")
}
end_all() {
    while ((${#names[@]} > 0)); do end_one; done
    ((${#failed[@]} == 0)) || [[ ${1:-} != or-die ]] || die "failed: ${failed[*]}"
}

# train EXPERIMENT: a run of it and its policy as a header, made anew each time: both take seconds.
runs=$root/build-firmware/runs
train() {
    quietly "$build/apps/dunlin" train "$1" --out "$runs/$1" --quiet
    quietly "$build/apps/dunlin" export "$runs/$1" --format header
}

# of_board BOARD NAME OTHERWISE: what its board.cmake sets.
of_board() {
    local value
    value=$(sed -n "s/^set($2 \(.*\))$/\1/p" "$root/firmware-targets/boards/$1/board.cmake")
    printf '%s' "${value:-$3}"
}
has_node() { [[ $(of_board "$1" BOARD_HAS_NODE ON) != OFF ]]; }

# configure FOLDER BOARD EXPERIMENT [OPTION...]: the images of a board, with the policy of a run.
configure() {
    local folder=$1 board=$2 experiment=$3
    shift 3
    quietly cmake -S "$root/firmware-targets" -B "$folder" -G Ninja -DDUNLIN_BOARD="$board" -DDUNLIN_WERROR=ON \
        -DCMAKE_TOOLCHAIN_FILE="$root/firmware-targets/toolchains/$(of_board "$board" BOARD_TOOLCHAIN arm-none-eabi).cmake" \
        -DDUNLIN_POLICY="$runs/$experiment/policy.hpp" "$@"
}
# make_images FOLDER [TARGET...]: says nothing but what went wrong.
make_images() {
    local folder=$1
    shift
    quietly cmake --build "$folder" --parallel 1 ${1:+--target "$@"}
}

# line_key BOARD: made as a gateway makes it.
line_key() { printf '%s' "$root/build-firmware/keys/$1/line-key"; }

# say_size PREFIX IMAGE...: flash, RAM and, where it ran, the stack at its deepest.
say_size() {
    local prefix=$1 image name text data bss room limit stack
    shift
    for image in "$@"; do
        [[ -f $image ]] || continue
        name=$(basename "$image" .elf)
        read -r text data bss _ < <("$prefix-size" "$image" | tail -n 1)
        room=$("$prefix-nm" "$image" | awk '$3 == "stack_top_address" { print $1 }')
        limit=$("$prefix-nm" "$image" | awk '$3 == "stack_limit_address" { print $1 }')
        stack=$(sed -n 's/^stack \([0-9]*\).*$/\1/p' "${image%.elf}.txt" 2>/dev/null || true)
        say "$(printf '%-8s %7d %6d  %5s' "$name" $((text + data)) $((data + bss - (16#$room - 16#$limit))) "${stack:--}")"
    done
}

# The images of a board: what it learns, what it costs, and a node with a policy of 2-32-32-5 in as little memory as
# that takes, which meets hosts by way of a gateway.
check_board() {
    local board=$1 folder=$root/build-firmware/$1 node=$root/build-firmware/node/$1 experiment images key='' course status=0
    experiment=$(of_board "$board" BOARD_EXPERIMENT board)
    configure "$folder" "$board" "$experiment"
    rm -f "$folder/node.elf" "$folder/node.map" # of a policy that is not a node's
    make_images "$folder"
    if has_node "$board"; then
        # One board lives through a job from its first round to its last, and has its image with a sealed line counted.
        images=(node) course='[one-board-short]'
        if [[ $board == mps2-an386 ]]; then
            images+=(node-secure) course='[one-board]'
            key=$(line_key "$board")
        fi
        configure "$node" "$board" board-node -DDUNLIN_AUDIT=OFF -DDUNLIN_SMALL=ON -DDUNLIN_LINE_KEY="$key"
        make_images "$node" "${images[@]}"
        DUNLIN_BOARD=$board DUNLIN_BOARD_BUILD=$node "$build/tests/firmware/board_fleet_tests" -d yes "$course" ||
            status=1
    else
        rm -rf "$node"
    fi
    DUNLIN_BOARD=$board DUNLIN_BOARD_BUILD=$folder DUNLIN_BOARD_RUN=$runs/$experiment DUNLIN_NODE_BUILD=$node \
        "$build/tests/firmware/firmware_tests" || status=1
    say "image      flash    RAM  stack (bytes)"
    say_size "$(of_board "$board" BOARD_TOOLCHAIN arm-none-eabi)" "$folder"/*.elf "$node"/node*.elf
    return "$status"
}

# Boards whose policy is a table of 80 numbers, for fleets of several.
fleet=$root/build-firmware/fleet
build_for_fleet() {
    local board=$1 key=''
    [[ $board != mps2-an386 || ! $sealed ]] || key=$(line_key "$board")
    configure "$fleet/$board" "$board" board-table -DDUNLIN_LINE_KEY="$key"
    make_images "$fleet/$board" node ${key:+node-secure}
}
check_fleet() {
    DUNLIN_NODE_BOARDS=$fleet/mps2-an386:$fleet/mps2-an505 "$build/tests/firmware/board_fleet_tests" -d yes "$1"
}
check_sealed_fleet() {
    DUNLIN_BOARD=mps2-an386 DUNLIN_SECURE_BUILD=$fleet/mps2-an386 DUNLIN_SECURE_KEY=$(line_key mps2-an386) \
        "$build/tests/firmware/board_fleet_tests" -d yes "[secure]"
}

# examples/own-firmware, with a start-up of its own, from a bundle.
check_own_firmware() {
    local folder=$root/build-firmware/own-firmware
    rm -rf "$folder/rover"
    quietly "$build/apps/dunlin" export "$runs/board-table" --format bundle --name rover --out "$folder/rover"
    quietly cmake -S "$root/examples/own-firmware" -B "$folder/build" -G Ninja -DBUNDLE="$folder/rover" \
        -DCMAKE_TOOLCHAIN_FILE="$root/firmware-targets/toolchains/arm-none-eabi.cmake"
    make_images "$folder/build"
    timeout 120 qemu-system-arm -M mps2-an386 -nographic -monitor none -serial stdio \
        -semihosting-config enable=on,target=native -kernel "$folder/build/own-firmware"
}

is_chosen() { [[ " ${boards[*]} " == *" $1 "* ]]; }

rm -rf "$runs"
mkdir -p "$runs"
experiments=(board-table)
for board in "${boards[@]}"; do
    experiments+=("$(of_board "$board" BOARD_EXPERIMENT board)")
    ! has_node "$board" || experiments+=(board-node)
done
for experiment in $(printf '%s\n' "${experiments[@]}" | sort -u); do begin "train $experiment" train "$experiment"; done
if is_chosen mps2-an386; then
    quietly "$build/apps/dunlin" gateway --device mps2-an386=/dev/null --dir "$root/build-firmware/keys" --init
fi
end_all or-die

both=
if is_chosen mps2-an386 && is_chosen mps2-an505; then both=yes; fi
is_chosen mps2-an386 || sealed=
[[ ! $both && ! $sealed ]] || begin "images of mps2-an386 for fleets" build_for_fleet mps2-an386
[[ ! $both ]] || begin "images of mps2-an505 for fleets" build_for_fleet mps2-an505
end_all or-die
# With nodes of this machine, on lines that lose bytes.
if [[ $both ]]; then
    begin "a fleet with a server" check_fleet "[server]"
    begin "a fleet with other objectives" check_fleet "[objectives]"
    begin "a fleet without a server" check_fleet "[serverless]"
fi
[[ ! $sealed ]] || begin "a fleet on a sealed line" check_sealed_fleet
for board in "${boards[@]}"; do begin "$board" check_board "$board"; done
begin "own firmware" check_own_firmware
end_all
if ((${#failed[@]} > 0)); then
    say "failed: ${failed[*]}"
    exit 1
fi
