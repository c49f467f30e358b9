#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The kernel module by sparse, by the kernel's checkpatch.pl, and as dkms(8) gets it. The
# script is part of the kernel's source, 150 MB: it is fetched where TL_VM_KERNELS is
# "all", and stays in the cache.
#
# shellcheck disable=SC2317 # functions are called through check

# shellcheck source=tests/kmod/common
. "$(dirname "$0")/common"
kernel=6.12
find_kernel $kernel

# The module supports several kernels, and its header is no file of the kernel's.
not_for_us=LINUX_VERSION_CODE,CONSTANT_COMPARISON,BIT_MACRO
# Of the ways to write, those that checkpatch has for macros of trace events.
not_for_us+=,OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT

unpack_checkpatch() {
	tar -xJf "$(echo "$source"/usr/src/linux-source-*.tar.xz)" -C "$1" --strip-components=2 --wildcards \
		'*/scripts/checkpatch.pl' '*/scripts/spelling.txt' '*/scripts/const_structs.checkpatch'
}

# Sets the path of checkpatch.pl, or ends with why it is not there
find_checkpatch() {
	checkpatch=$cache/checkpatch/checkpatch.pl
	[ -e "$checkpatch" ] && return
	[ "${TL_VM_KERNELS:-}" = all ] || { echo "not fetched: make check-vm does"; return 1; }
	source=$("$apt_fetch" "$suite" linux-source-$kernel 2>&1) || { tail -n 1 <<<"$source"; return 1; }
	make_once "$cache/checkpatch" unpack_checkpatch
}

runs_checkpatch() {	# runs_checkpatch FOLDER
	(cd "$1" && perl "$checkpatch" --no-tree --strict --terse --no-summary --ignore $not_for_us \
		-f kmod/*.c kmod/*.h include/tasklet/uapi/*.h)
}

# What the make that runs us was told is not for the kernel's.
kernel_make() {	# kernel_make FOLDER ARGUMENT...
	local folder=$1
	shift
	env -i PATH="$PATH" HOME="$HOME" make -C "$(cat "$tmp/kdir")" M="$folder" "$@" modules
}

runs_sparse() {	# runs_sparse FOLDER
	local said
	said=$(kernel_make "$1" C=2 CHECK=sparse W=1 2>&1) || { echo "$said"; return 1; }
	! grep -E 'warning|error' <<<"$said"
}

copy() {	# copy NAME [FILE SED]: of the sources, with a change
	mkdir "$tmp/$1"
	cp -r "$top/Kbuild" "$top/kmod" "$top/include" "$tmp/$1"
	[ $# = 1 ] || sed -i "$3" "$tmp/$1/$2"
}

finds() {	# finds COMMAND...: it does not pass
	! "$@" >"$tmp/found" 2>&1
}

builds_from_dkms() {
	local sources=$tmp/root/usr/src/tasklet-$1
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C "$top" DESTDIR="$tmp/root" install-dkms || return 1
	grep -qx "PACKAGE_VERSION=\"$1\"" "$sources/dkms.conf" || { cat "$sources/dkms.conf"; return 1; }
	kernel_make "$sources" -s >"$tmp/said" 2>&1 || { cat "$tmp/said"; return 1; }
	[ -s "$sources/$(sed -n 's/^BUILT_MODULE_NAME.*="\(.*\)"/\1/p' "$sources/dkms.conf").ko" ]
}

tap_plan 5
if why=$(find_checkpatch); then
	find_checkpatch
	check "checkpatch --strict has nothing to say" runs_checkpatch "$top"
	copy ugly kmod/slot.c 's/^	int ret = 0;/    int ret=0;/'
	check "... but of a line that is not as it should be" finds runs_checkpatch "$tmp/ugly"
else
	tap_skip "$why" "checkpatch --strict has nothing to say"
	tap_skip "$why" "... but of a line that is not as it should be"
fi
if ! has_kernel || ! command -v sparse >/dev/null; then
	why=$(command -v sparse >/dev/null && tail -n 1 "$tmp/err" || echo "no sparse")
	for words in "sparse has nothing to say" "... but of a pointer into user space" "it builds from dkms' folder"; do
		tap_skip "$why" "$words"
	done
	tap_end
fi
copy plain
check "sparse has nothing to say" runs_sparse "$tmp/plain"
copy mixed kmod/device.c 's/int take_op(struct tl_handoff_op \*op, void __user \*arg)/int take_op(struct tl_handoff_op *op, void *arg)/'
check "... but of a pointer into user space" finds runs_sparse "$tmp/mixed"
check "it builds from dkms' folder" builds_from_dkms "$(sed -n 's/^#define TL_VERSION_[A-Z]* //p' \
	"$top/include/tasklet/base.h" | paste -sd.)"
tap_end
