#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds Dunlin for ARM Linux and runs its unit tests there, from a fresh machine; `--help` says the rest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'HELP'
scripts/cross.sh aarch64|armhf [TARGET...]

Installs what is missing (Debian 12; root or sudo), fetches the target's libraries into build-sysroot/
(nothing of the system is changed), builds Dunlin for 64-bit or 32-bit ARM Linux into build-aarch64/ or
build-armhf/, and runs the unit tests of its lower floors in an emulator.

  TARGET   build these instead and run no test, for example: scripts/cross.sh aarch64 all
HELP
}

case ${1:-} in
    aarch64) architecture=arm64 triplet=aarch64-linux-gnu ;;
    armhf) architecture=armhf triplet=arm-linux-gnueabihf ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) die "which target, aarch64 or armhf? See scripts/cross.sh --help" ;;
esac
preset=$1
shift
targets=("$@")
tested=(core_tests rl_tests)
need_packages "${host_packages[@]}" "${cross_packages[@]}" "g++-$triplet"

# The libraries of the target are those of the host: what it names as ...-dev, and catch2.
libraries=(libc6-dev libstdc++-12-dev)
for package in "${host_packages[@]}"; do
    case $package in *-dev | catch2) libraries+=("$package") ;; esac
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

sysroot=$root/build-sysroot/$architecture
if [[ "$(cat "$sysroot/packages.txt" 2>/dev/null)" != "${libraries[*]}" ]]; then
    say "Fetching the libraries of $preset into build-sysroot/$architecture"
    rm -rf "$sysroot"
    make_sysroot "$sysroot" || die "the libraries of $preset could not be fetched: is the network up?"
fi

if ((${#targets[@]} > 0)); then
    build_preset "$preset" "${targets[@]}"
    exit
fi
build_preset "$preset" "${tested[@]}"
status=0
for test in "${tested[@]}"; do
    program=$root/build-$preset/tests/${test%_tests}/$test
    say "== $test on $preset"
    "qemu-${preset/armhf/arm}" -L "$sysroot" "$program" >&2 || status=1
done
exit "$status"
