#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds Dunlin for ARM Linux and runs its unit tests there, from a fresh machine; `--help` says the rest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'HELP'
scripts/cross.sh aarch64|armhf [TARGET...]
scripts/cross.sh aarch64|armhf package [all]
scripts/cross.sh fleet [aarch64|armhf]

Installs what is missing (Debian 12; root or sudo), fetches the target's libraries into build-sysroot/
(nothing of the system is changed), builds Dunlin for 64-bit or 32-bit ARM Linux into build-aarch64/ or
build-armhf/, and runs the unit tests of its lower floors in an emulator.

  TARGET   build these instead and run no test, for example: scripts/cross.sh aarch64 all
  package  makes the Debian package of a node (with `all` also of the command) in build-*/packages/, says
           where, and runs what is in it in an emulator; on the board: sudo apt install ./dunlin-node_*.deb
  fleet    builds nodes for both (or the one that is named) and lets them learn in one fleet with nodes of this machine
HELP
}

what=${1:-}
case $what in
    aarch64 | armhf | fleet) shift ;;
    -h | --help)
        usage
        exit 0
        ;;
    '') die "which target, aarch64 or armhf? See scripts/cross.sh --help" ;;
    *) die "there is no target '$what': aarch64, armhf or fleet. See scripts/cross.sh --help" ;;
esac
targets=("$@")
[[ $what != fleet || "$*" =~ ^(aarch64|armhf)?$ ]] || die "fleet takes aarch64, armhf or nothing. See scripts/cross.sh --help"
tested=(core_tests rl_tests)

# The libraries of a target are those of the host: what it names as ...-dev, and catch2.
libraries=(libc6-dev libstdc++-12-dev)
for package in "${host_packages[@]}"; do
    case $package in
        python3-dev | pybind11-dev) ;; # the Python module is built for the host alone
        *-dev | catch2) libraries+=("$package") ;;
    esac
done

# make_sysroot FOLDER: unpacks the libraries there, by an apt with a state of its own. Adding armhf as a foreign
# architecture would break every later `apt-get update` where the mirror's security index lacks it.
make_sysroot() {
    local folder=$1 state apt_state link to
    state=$(mktemp -d)
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$folder"
    : >"$state/empty"
    # The mirror that this machine takes Debian's main archive from.
    local mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' |
        awk '$2 == "bookworm" && $3 == "main" { print $1; exit }')
    [[ -n $mirror ]] || die "no source of Debian's main archive is known to apt here; run apt-get update"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" \
        >"$state/sources.list"
    apt_state=(-o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o APT::Sandbox::User=root
        -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State="$state"
        -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/empty" -o Dir::Cache="$state/cache")
    # shellcheck disable=SC2034 # for apt(): this needs no root
    local as_root=()
    apt "${apt_state[@]}" update || return
    apt "${apt_state[@]}" install --download-only -y --no-install-recommends "${libraries[@]}" || return
    local package
    for package in "$state"/cache/archives/*.deb; do dpkg -x "$package" "$folder" || return; done
    # Links that begin at the root would lead to the host's files.
    while IFS= read -r -d '' link; do
        to=$(readlink "$link")
        [[ $to != /* ]] || ln -sfn "$(realpath -m --relative-to "$(dirname "$link")" "$folder$to")" "$link"
    done < <(find "$folder" -type l -print0)
    rm -rf "$state"
    printf '%s\n' "${libraries[*]}" >"$folder/packages.txt"
}

# prepare aarch64|armhf: compiler, emulator and libraries. Sets architecture, sysroot and emulator.
prepare() {
    local triplet
    case $1 in
        aarch64) architecture=arm64 triplet=aarch64-linux-gnu emulator=qemu-aarch64 ;;
        armhf) architecture=armhf triplet=arm-linux-gnueabihf emulator=qemu-arm ;;
    esac
    need_packages "${host_packages[@]}" "${cross_packages[@]}" "g++-$triplet"
    sysroot=$root/build-sysroot/$architecture
    [[ "$(cat "$sysroot/packages.txt" 2>/dev/null)" != "${libraries[*]}" ]] || return 0
    say "Fetching the libraries of $1 into build-sysroot/$architecture"
    rm -rf "$sysroot"
    make_sysroot "$sysroot" || die "the libraries of $1 could not be fetched: is the network up?"
}

# run_tests aarch64|armhf: the unit tests, side by side; without averages over many draws, which take a minute in an
# emulator and have nothing of a processor in them.
run_tests() {
    local test status=0 running=()
    build_preset "$1" "${tested[@]}"
    for test in "${tested[@]}"; do
        say "== $test on $1"
        DUNLIN_EMULATED=1 "$emulator" -L "$sysroot" "$root/build-$1/tests/${test%_tests}/$test" "~*hyper-gradient*" >&2 &
        running+=($!)
    done
    for test in "${running[@]}"; do wait "$test" || status=1; done
    return "$status"
}

# make_packages aarch64|armhf PROGRAM...: the packages of these programs; what is in them runs.
make_packages() {
    local components=node package
    [[ " $* " != *" dunlin "* ]] || components="program;node"
    build_preset "$@"
    "$root/tests/apps/packages.sh" "$root/build-$1" "$components" "$architecture" "$emulator" -L "$sysroot"
    for package in "$root/build-$1/packages"/*.deb; do echo "$package"; done
}

# run_fleet [aarch64|armhf]: one fleet of nodes of this machine, and of both targets, or this one, in their emulators.
run_fleet() {
    local target programs= preset=${DUNLIN_PRESET:-release} build=$root/build
    [[ $preset == release ]] || build=$root/build-$preset
    for target in ${1:-aarch64} ${1:-armhf}; do # two nodes, beside one of this machine
        prepare "$target"
        build_preset "$target" dunlin-node
        programs=$programs:"$emulator -L $sysroot $root/build-$target/apps/dunlin-node"
    done
    build_preset "$preset" dunlin dunlin-node fleet_program_tests
    say "== nodes of several processors in one fleet"
    DUNLIN_NODE_PROGRAMS=${programs#:} "$build/tests/apps/fleet_program_tests" "[.mixed]" >&2
}

if [[ $what == fleet ]]; then
    run_fleet "$@"
    exit
fi
prepare "$what"
case "${targets[*]}" in
    '') run_tests "$what" ;;
    package) make_packages "$what" dunlin-node ;;
    'package all') make_packages "$what" dunlin-node dunlin ;;
    *) build_preset "$what" "${targets[@]}" ;;
esac
