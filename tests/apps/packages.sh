#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# packages.sh BUILD_FOLDER [COMPONENTS [ARCHITECTURE EMULATOR...]]: makes the Debian packages of a build in its folder
# packages/, unpacks them elsewhere and runs what is in them. COMPONENTS is node, or program;gateway;node, the default,
# with ;python where the Python module was built; programs for another processor are run by the words after ARCHITECTURE.
set -euo pipefail

build=$(cd "$1" && pwd)
components=${2:-program;gateway;node}
if [[ -z ${2:-} && -n $(compgen -G "$build/python/dunlin/_native*.so") ]]; then components+=";python"; fi
architecture=${3:-$(dpkg --print-architecture)}
emulator=("${@:4}")
made=$build/packages
rm -rf "$made"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$build" && cpack -G DEB -B "$made" -D CPACK_COMPONENTS_ALL="$components") >"$folder/log" 2>&1 || {
    cat "$folder/log" >&2
    exit 1
}
rm -rf "$made/_CPack_Packages"

# unpacked PACKAGE: what it says of itself is right.
unpacked() {
    local file depends library
    file=$(echo "$made/$1"_*.deb)
    dpkg-deb -x "$file" "$folder/$1"
    depends=$(dpkg-deb -f "$file" Depends)
    for library in libc6 libstdc++6 libzmq5; do grep -qF "$library" <<<"$depends"; done
    test "$(dpkg-deb -f "$file" Architecture)" = "$architecture"
}

unpacked dunlin-node
dpkg-deb -e "$made"/dunlin-node_*.deb "$folder/control"
grep -qx /etc/default/dunlin-node "$folder/control/conffiles"
test -f "$folder/dunlin-node/etc/default/dunlin-node"
# A unit starts what the package holds.
grep -q '^ExecStart=/usr/bin/dunlin-node run ' "$folder/dunlin-node/usr/lib/systemd/system/dunlin-node.service"
node=("${emulator[@]}" "$folder/dunlin-node/usr/bin/dunlin-node")
"${node[@]}" --version >/dev/null
# With its manual page and completions.
texts_of() {
    local share=$folder/$1/usr/share
    zgrep -q '^\.SH NAME' "$share/man/man1/$1.1"* || return 1
    bash -n "$share/bash-completion/completions/$1" && test -s "$share/zsh/vendor-completions/_$1" &&
        test -s "$share/fish/vendor_completions.d/$1.fish"
}
texts_of dunlin-node
key=$("${node[@]}" init --dir "$folder/node" 2>/dev/null)
[[ $key =~ ^[0-9a-f]{64}$ ]]
[[ $components == *program* ]] || exit 0

unpacked dunlin
grep -q '^ExecStart=/usr/bin/dunlin fleet serve ' "$folder/dunlin/usr/lib/systemd/system/dunlin-fleet.service"
program=("${emulator[@]}" "$folder/dunlin/usr/bin/dunlin")
"${program[@]}" --version >/dev/null
texts_of dunlin
export DUNLIN_FLEET=$folder/store
"${program[@]}" fleet init >/dev/null 2>&1
"${program[@]}" fleet admit board "$key" 2>/dev/null
"${program[@]}" fleet nodes --json | grep -q '"name":"board"'
if [[ $components == *gateway* ]]; then
    dpkg-deb -x "$made"/dunlin-gateway_*.deb "$folder/gateway"
    dpkg-deb -f "$made"/dunlin-gateway_*.deb Depends | grep -q '^dunlin (= '
    dpkg-deb -e "$made"/dunlin-gateway_*.deb "$folder/gateway-control"
    grep -qx /etc/default/dunlin-gateway "$folder/gateway-control/conffiles"
    unit=$folder/gateway/usr/lib/systemd/system/dunlin-gateway.service
    grep -q '^ExecStart=/usr/bin/dunlin gateway ' "$unit"
    # The unit's words are options of the program.
    for option in $(grep '^ExecStart=' "$unit" | grep -o -- '--[a-z-]*'); do
        "${program[@]}" gateway --help | grep -q -- "$option"
    done
fi
[[ $components == *python* ]] || exit 0

unpacked python3-dunlin
dpkg-deb -f "$made"/python3-dunlin_*.deb Depends | grep -q 'python3 (>= .*python3-numpy'
PYTHONPATH=$folder/python3-dunlin/usr/lib/python3/dist-packages /usr/bin/python3 -B -c '
import dunlin
assert dunlin.train("navigation", overrides={"rl.iterations": 1}).complete'
