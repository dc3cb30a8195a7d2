#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and tests Dunlin's images for microcontrollers, from a fresh machine; `--help` says the rest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'HELP'
scripts/firmware.sh BOARD... [--accept]

Installs what is missing (Debian 12; root or sudo: about 2.4 GB), trains the board's policy on this
machine (seconds), exports it, builds the images for each board and runs them in its emulator: the
board must learn what the host learns, to the bit, and cost no more than firmware-targets/baseline.json
says. Prints flash, RAM and stack of each image.

  BOARD     a folder in firmware-targets/boards, or `all`; of several only the first goes through the job of a whole
            fleet, which takes minutes
  --accept  writes what was measured into firmware-targets/baseline.json instead of comparing
HELP
}

boards=()
for argument in "$@"; do
    case $argument in
        --accept) export DUNLIN_ACCEPT=1 ;;
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

# trained EXPERIMENT [OPTION...]: a run of it and its policy as a header, made anew each time: both take seconds.
trained() {
    local run=$root/build-firmware/runs/$1
    if [[ ! -f $run/policy.hpp && ! -f $run/model.hpp ]]; then
        rm -rf "$run"
        quietly "$build/apps/dunlin" train "$@" --out "$run" --quiet
        quietly "$build/apps/dunlin" export "$run" --format header
    fi
    printf '%s' "$run"
}

# of_board BOARD NAME OTHERWISE: what its board.cmake sets.
of_board() {
    local value
    value=$(sed -n "s/^set($2 \(.*\))$/\1/p" "$root/firmware-targets/boards/$1/board.cmake")
    printf '%s' "${value:-$3}"
}

# configure FOLDER BOARD RUN [OPTION...]: the images of a board, with the policy of a run.
configure() {
    local folder=$1 board=$2 run=$3
    shift 3
    quietly cmake -S "$root/firmware-targets" -B "$folder" -G Ninja -DDUNLIN_BOARD="$board" -DDUNLIN_WERROR=ON \
        -DCMAKE_TOOLCHAIN_FILE="$root/firmware-targets/toolchains/$(of_board "$board" BOARD_TOOLCHAIN arm-none-eabi).cmake" \
        -DDUNLIN_POLICY="$run/policy.hpp" "$@"
}

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

# board_learns BOARD RUN FOLDER NODE: a board in its emulator, and in the job of a whole fleet if it is the first.
board_learns() {
    local board=$1 run=$2 folder=$3 node=$4 failed=0
    rm -f "$node/node.txt"
    if [[ -d $node && ($board == "${boards[0]}" || -n ${DUNLIN_ACCEPT:-}) ]]; then
        DUNLIN_BOARD=$board DUNLIN_BOARD_BUILD=$node "$build/tests/firmware/board_fleet_tests" "[one-board]" || failed=1
    fi
    DUNLIN_BOARD=$board DUNLIN_BOARD_BUILD=$folder DUNLIN_BOARD_RUN=$run DUNLIN_NODE_BUILD=$node \
        "$build/tests/firmware/firmware_tests" || failed=1
    return "$failed"
}

# report MOST: waits until no more than so many boards learn, and says what came of those that are done.
learning=() # "PROCESS BOARD" each, in the order that they began
report() {
    local process board folder
    while ((${#learning[@]} > $1)); do
        read -r process board <<<"${learning[0]}"
        learning=("${learning[@]:1}")
        folder=$root/build-firmware
        wait "$process" || status=1
        say ""
        say "== $board"
        cat "$folder/$board/tests.log" >&2
        say "image      flash    RAM  stack (bytes)"
        say_size "$(of_board "$board" BOARD_TOOLCHAIN arm-none-eabi)" "$folder/$board"/*.elf "$folder/node/$board"/node*.elf
    done
}

# An emulator takes one processor, so as many boards learn at a time as there are; one, where they write the baseline.
beside=$(($(nproc) - 1))
[[ -z ${DUNLIN_ACCEPT:-} ]] || beside=0
status=0
rm -rf "$root/build-firmware/runs"
for board in "${boards[@]}"; do
    run=$(trained "$(of_board "$board" BOARD_EXPERIMENT board)")
    folder=$root/build-firmware/$board
    say "$board: building its images"
    configure "$folder" "$board" "$run"
    rm -f "$folder/node.elf" "$folder/node.map"  # of a policy that is not a node's
    quietly cmake --build "$folder" --parallel "$(nproc)"
    # A node with a policy of 2-32-32-5, in as little memory as that takes; it meets hosts by way of a gateway.
    node=$root/build-firmware/node/$board
    if [[ $(of_board "$board" BOARD_HAS_NODE ON) == OFF ]]; then
        rm -rf "$node"
    else
        # On one of them also with a sealed line, whose key is made as a gateway makes it.
        images=(node)
        key=
        if [[ $board == mps2-an386 ]]; then
            images+=(node-secure)
            quietly "$build/apps/dunlin" gateway --device "$board=/dev/null" --dir "$root/build-firmware/keys" --init
            key=$root/build-firmware/keys/$board/line-key
        fi
        configure "$node" "$board" "$(trained board-node)" -DDUNLIN_AUDIT=OFF -DDUNLIN_SMALL=ON \
            -DDUNLIN_LINE_KEY="$key"
        quietly cmake --build "$node" --parallel "$(nproc)" --target "${images[@]}"
    fi
    report "$beside"
    board_learns "$board" "$run" "$folder" "$node" >"$folder/tests.log" 2>&1 </dev/null &
    learning+=("$! $board")
done
report 0

# Two boards of different processors in a fleet with nodes of this machine.
if [[ " ${boards[*]} " == *" mps2-an386 "* && " ${boards[*]} " == *" mps2-an505 "* ]]; then
    say ""
    say "== mps2-an386 and mps2-an505 in a fleet, on lines that lose bytes"
    run=$(trained board-table)
    folders=
    for board in mps2-an386 mps2-an505; do
        folder=$root/build-firmware/fleet/$board
        configure "$folder" "$board" "$run"
        quietly cmake --build "$folder" --parallel "$(nproc)" --target node
        folders=$folders:$folder
    done
    DUNLIN_NODE_BOARDS=${folders#:} "$build/tests/firmware/board_fleet_tests" "~[one-board]~[secure]~[samples]" >&2 || status=1
fi

# The same over a sealed line, with the key that a gateway made.
if [[ " ${boards[*]} " == *" mps2-an386 "* ]]; then
    say ""
    say "== mps2-an386 in a fleet, on a sealed line"
    folder=$root/build-firmware/secure/mps2-an386
    key=$root/build-firmware/keys/mps2-an386/line-key
    configure "$folder" mps2-an386 "$(trained board-table)" -DDUNLIN_LINE_KEY="$key"
    quietly cmake --build "$folder" --parallel "$(nproc)" --target node-secure
    DUNLIN_SECURE_BUILD=$folder DUNLIN_SECURE_KEY=$key "$build/tests/firmware/board_fleet_tests" "[secure]" >&2 || status=1
fi

# A board that learns to tell digits by its own hundred samples. Its fleet with five nodes of this machine takes minutes, on
# a busy one many: with DUNLIN_LONG alone. Simulated, this fleet has .70; the 200 personal steps alone have .12.
if [[ " ${boards[*]} " == *" mps2-an386 "* ]]; then
    say ""
    say "== mps2-an386 with samples of its own"
    run=$(trained keywords --set data.rows=1500 --set federated.local_rate=0.2 --set fleet.updates=25 --set clock.budget_s=200)
    quietly "$build/apps/dunlin" export "$run" --format samples --node 5 --count 10
    folder=$root/build-firmware/samples/mps2-an386
    configure "$folder" mps2-an386 "$run" -DDUNLIN_POLICY="$run/model.hpp" -DDUNLIN_SAMPLES="$run/samples.hpp" \
        -DDUNLIN_AUDIT=OFF
    quietly cmake --build "$folder" --parallel "$(nproc)" --target sample-node
    if [[ -n ${DUNLIN_LONG:-} ]]; then
        DUNLIN_SAMPLE_NODE=$folder DUNLIN_SAMPLE_RUN=$run DUNLIN_SAMPLE_ACCURACY=0.5 \
            "$build/tests/firmware/board_fleet_tests" "[samples]" >&2 || status=1
    fi
    say "image      flash    RAM  stack (bytes)"
    say_size arm-none-eabi "$folder/sample-node.elf"
fi

say ""
say "== examples/own-firmware, with a start-up of its own, from a bundle"
folder=$root/build-firmware/own-firmware
run=$(trained board-table)
rm -rf "$folder/rover"
quietly "$build/apps/dunlin" export "$run" --format bundle --name rover --out "$folder/rover"
quietly cmake -S "$root/examples/own-firmware" -B "$folder/build" -G Ninja -DBUNDLE="$folder/rover" \
    -DCMAKE_TOOLCHAIN_FILE="$root/firmware-targets/toolchains/arm-none-eabi.cmake"
cmake --build "$folder/build" --parallel "$(nproc)" >&2
timeout 120 qemu-system-arm -M mps2-an386 -nographic -monitor none -serial stdio </dev/null >&2 \
    -semihosting-config enable=on,target=native -kernel "$folder/build/own-firmware" || status=1
exit "$status"
