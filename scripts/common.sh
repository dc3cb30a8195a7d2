# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # the lists are used where this is sourced
# Shared by the scripts: what Dunlin needs from the system, and how it is built. Sourced, not run.

# The packages of Debian 12 that each kind of work needs. A new dependency is one more word here.
host_packages=(
    g++ cmake ninja-build ccache git ca-certificates
    libeigen3-dev librandom123-dev libexpected-dev libcli11-dev libtomlplusplus-dev libspdlog-dev libfmt-dev
    nlohmann-json3-dev zlib1g-dev
    libflatbuffers-dev flatbuffers-compiler libprotobuf-dev protobuf-compiler libzmq3-dev
    cppzmq-dev libboost1.81-dev libsqlite3-dev libxxhash-dev libsodium-dev libssl-dev
    esbuild libjs-dygraphs
    catch2 libbenchmark-dev
    python3-dev python3-numpy pybind11-dev # a build without them leaves the Python module out
)
check_packages=(clang-format-14 python3-onnx dpkg-dev libopenmpi-dev openmpi-bin chromium)
# Not where Node.js comes from elsewhere, with an npm of its own.
command -v npm >/dev/null || check_packages+=(nodejs npm)
cross_packages=(qemu-user) # and g++-TARGET
firmware_packages=(
    gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib qemu-system-arm
    gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-system-misc
)
clang_packages=(clang-16 libclang-rt-16-dev)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

# Runs a command whose chatter matters only if it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if ((status != 0)); then tail -n 60 "$log" >&2; fi
    rm -f "$log"
    return "$status"
}

# Mirrors are flaky: three attempts before giving up.
apt() {
    local attempt
    for attempt in 1 2 3; do
        if quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get -q -o DPkg::Lock::Timeout=300 "$@"; then
            return 0
        fi
        if ((attempt < 3)); then
            say "apt-get $1 failed (attempt $attempt of 3); trying again in 10 seconds"
            sleep 10
        fi
    done
    return 1
}

# Installs those of the named packages that are missing.
need_packages() {
    [[ -z ${DUNLIN_SKIP_PACKAGES:-} ]] || return 0
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
        die "this system has no apt-get: Dunlin's packages are known for Debian and Ubuntu only." \
            "Install the equals of: $* ; then run this again with DUNLIN_SKIP_PACKAGES=1."

    local architecture package missing=()
    local -A installed=()
    architecture=$(dpkg --print-architecture)
    while read -r package; do
        installed[$package]=yes
    done < <(dpkg-query -W -f '${Package} ${Architecture} ${db:Status-Status}\n' "$@" 2>/dev/null |
        awk -v a="$architecture" '($2 == a || $2 == "all") && $3 == "installed" { print $1 }')
    for package in "$@"; do
        [[ -n ${installed[$package]:-} ]] || missing+=("$package")
    done
    ((${#missing[@]} > 0)) || return 0

    local as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null ||
            die "these packages are missing, and installing them needs root or sudo: ${missing[*]}"
        as_root=(sudo)
        # Asked for here, because apt's own output is kept back.
        sudo -v || die "sudo refused; as root: apt-get install ${missing[*]}"
    fi
    say "Installing ${#missing[@]} missing packages: ${missing[*]}"
    apt update || die "apt-get update failed: is the network up?"
    apt install -y --no-install-recommends "${missing[@]}" || die "these packages were not installed: ${missing[*]}"
}

# build_preset PRESET [TARGET...]: configures and builds a preset of CMakePresets.json.
build_preset() {
    local preset=$1 targets=()
    shift
    (($# == 0)) || targets=(--target "$@")
    cd "$root" || return
    quietly cmake --preset "$preset" || return
    cmake --build --preset "$preset" --parallel "$(nproc)" "${targets[@]}" >&2
}
