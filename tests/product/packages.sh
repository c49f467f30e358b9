#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# What the sources include from outside is in the list of packages, so that a
# fresh machine gets it; and whoever may not install packages is told the one
# command to run.

top=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$top/tests/harness/tap.sh"
cd "$top" || exit 1
tap_plan 5

# The packages that a compiler brings; valgrind's header is used if it is there.
listed="libc6-dev linux-libc-dev libgcc valgrind
$(grep -oE '[a-z0-9.+-]+:[a-z0-9.+-]+' tools/install-packages | cut -d: -f2)"
if command -v dpkg >/dev/null; then
	# "HEADER PATH", then one question for all paths: dpkg takes its time for each.
	cat $(git ls-files '*.c' '*.h' 2>/dev/null ||
		find lib tools tests examples include -name '*.[ch]') |
	sed -n 's/^# *include <\([^>]*\)>.*/\1/p' | sort -u |
	while read -r header; do
		path=$(echo "#include <$header>" | cc -E -Iinclude -x c - 2>/dev/null |
			sed -n 's/^# 1 "\(\/[^"]*\/'"${header//\//\\/}"'\)".*/\1/p' |
			head -n 1)
		case $path in ''|"$top"/*) continue ;; esac
		echo "$header $path"
	done >"$tmp/headers"
	xargs -r dpkg -S < <(cut -d' ' -f2 "$tmp/headers") >"$tmp/owners" 2>/dev/null
	unlisted=$(while read -r header path; do
		owner=$(awk -v p="$path" -F': ' '$2 == p { sub(/[:,].*/, "", $1); print $1; exit }' \
			"$tmp/owners")
		case $owner in libgcc-*|gcc-*|'') continue ;; esac
		echo "$listed" | grep -qw -- "$owner" || echo "<$header>: $owner"
	done <"$tmp/headers")
	tap_is "$unlisted" "" "each header from outside has its package in the list"
else
	tap_skip "no dpkg" "each header from outside has its package in the list"
fi

# A machine with nothing: only what the script itself calls is on the path.
mkdir "$tmp/bin"
for tool in sh id tr sed mktemp cat rm tail; do
	ln -s "$(command -v $tool)" "$tmp/bin/$tool"
done
sed 's|/usr/include/|/nowhere/|; s|/usr/sbin/|/nowhere/|' tools/install-packages \
	>"$tmp/install-packages"
chmod -R a+rX "$tmp"

as_nobody() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=65534 --clear-groups "$@"
	else
		"$@"
	fi
}
said=$(as_nobody env -i PATH="$tmp/bin" sh "$tmp/install-packages" --for check 2>&1)
tap_is $? 1 "without root and without sudo it stops"
tap_like "$said" 'sudo apt-get install .*liburing-dev.* g\+\+' \
	"... and says what to run"
said=$(env -i PATH="$tmp/bin" sh "$tmp/install-packages" --for check --install no 2>&1)
tap_is $? 1 "INSTALL_PACKAGES=no: it installs nothing"
tools/install-packages --for nothing 2>/dev/null
tap_is $? 2 "an unknown goal is a usage error"
tap_end
