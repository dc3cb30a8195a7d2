#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# packages.sh BUILD_FOLDER [ARCHITECTURE EMULATOR...]: makes the Debian packages of a build in BUILD_FOLDER/packages,
# unpacks them elsewhere and runs what is in them; those for another processor by these words before the program.
set -euo pipefail

build=$(cd "$1" && pwd)
architecture=${2:-$(dpkg --print-architecture)}
emulator=("${@:3}")
made=$build/packages
rm -rf "$made"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$build" && cpack -G DEB -B "$made") >"$folder/log" 2>&1 || {
    cat "$folder/log" >&2
    exit 1
}

rm -rf "$made/_CPack_Packages"
for package in dunlin dunlin-node; do
    file=$(echo "$made/${package}"_*.deb)
    dpkg-deb -x "$file" "$folder/$package"
    depends=$(dpkg-deb -f "$file" Depends)
    for library in libc6 libstdc++6 libzmq5; do grep -qF "$library" <<<"$depends"; done
    test "$(dpkg-deb -f "$file" Architecture)" = "$architecture"
done
dpkg-deb -e "$made"/dunlin-node_*.deb "$folder/control"
grep -qx /etc/default/dunlin-node "$folder/control/conffiles"

program=("${emulator[@]}" "$folder/dunlin/usr/bin/dunlin")
node=("${emulator[@]}" "$folder/dunlin-node/usr/bin/dunlin-node")
test -f "$folder/dunlin-node/etc/default/dunlin-node"
# A unit starts what the package holds.
grep -q '^ExecStart=/usr/bin/dunlin fleet serve ' "$folder/dunlin/usr/lib/systemd/system/dunlin-fleet.service"
grep -q '^ExecStart=/usr/bin/dunlin-node run ' "$folder/dunlin-node/usr/lib/systemd/system/dunlin-node.service"

"${program[@]}" --version >/dev/null
export DUNLIN_FLEET=$folder/store
"${program[@]}" fleet init >/dev/null 2>&1
key=$("${node[@]}" init --dir "$folder/node" 2>/dev/null)
"${program[@]}" fleet admit board "$key" 2>/dev/null
"${program[@]}" fleet nodes --json | grep -q '"name":"board"'
