#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# No arrow runs up: a file includes headers of its own floor or of those below
# it only. base < os < core < {chan, sync, io, gil, wake, frame} < tools, tests. The
# preload library is loaded into programs that know nothing of us: without core.
# Also: each file has its licence, and its first paragraph.

top=${TL_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$top" || exit 1
n=0 failed=0

verdict() {	# verdict WHAT FINDINGS
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n $1"
	else
		echo "not ok $n $1"
		printf '%s\n' "$2" | sed 's/^/# /' | head -n 20
		failed=1
	fi
}

echo "TAP version 13"
echo "1..4"

# What each floor may include of the others.
arrows=$(for file in lib/*/*.[chS]; do
	floor=${file#lib/} floor=${floor%%/*}
	case $floor in
	base) allowed='base' ;;
	os) allowed='base os' ;;
	core) allowed='base os core' ;;
	gil) allowed='base os core wake gil' ;;
	preload) allowed='base os wake preload' ;;
	*) allowed="base os core $floor" ;;
	esac
	sed -n 's/^#include "\([a-z]*\)\/.*/\1/p' "$file" | sort -u |
	while read -r used; do
		case " $allowed " in
		*" $used "*) ;;
		*) echo "$file includes $used/" ;;
		esac
	done
done)
verdict "no include runs up" "$arrows"

flat=$(grep -nE '^#include "[^/]*"$' lib/*/*.[ch] | head)
verdict "includes inside lib name their floor" "$flat"

spdx=$(for file in $(find lib include tools tests examples man bpf kmod \
	-type f \( -name '*.[chS]' -o -name '*.sh' -o -name '*.mk' \
	-o -name '*.[1-9]' \) 2>/dev/null) Makefile; do
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: ' || echo "$file"
done)
verdict "each file has its licence" "$spdx"

paragraph=$(for file in lib/*/*.[chS]; do
	sed -n 2p "$file" | grep -q '^/\*' || echo "$file"
done)
verdict "each file of lib says what it owns" "$paragraph"
exit $failed
