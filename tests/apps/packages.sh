#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# packages.sh BUILD_FOLDER: makes the Debian packages of a build, unpacks them elsewhere and runs what is in them.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$1" && cpack -G DEB -B "$folder/made") >"$folder/log" 2>&1 || {
    cat "$folder/log" >&2
    exit 1
}

for package in dunlin dunlin-node; do
    dpkg-deb -x "$folder"/made/"${package}"_*.deb "$folder/$package"
    dpkg-deb -f "$folder"/made/"${package}"_*.deb Depends | grep -q libzmq5
done
dpkg-deb -e "$folder"/made/dunlin-node_*.deb "$folder/control"
grep -qx /etc/default/dunlin-node "$folder/control/conffiles"

program=$folder/dunlin/usr/bin/dunlin node=$folder/dunlin-node/usr/bin/dunlin-node
test -f "$folder/dunlin-node/etc/default/dunlin-node"
# A unit starts what the package holds.
grep -q '^ExecStart=/usr/bin/dunlin fleet serve ' "$folder/dunlin/usr/lib/systemd/system/dunlin-fleet.service"
grep -q '^ExecStart=/usr/bin/dunlin-node run ' "$folder/dunlin-node/usr/lib/systemd/system/dunlin-node.service"

"$program" --version >/dev/null
export DUNLIN_FLEET=$folder/store
"$program" fleet init >/dev/null 2>&1
key=$("$node" init --dir "$folder/node" 2>/dev/null)
"$program" fleet admit board "$key" 2>/dev/null
"$program" fleet nodes --json | grep -q '"name":"board"'
