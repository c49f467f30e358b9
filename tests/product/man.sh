#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The manual pages: mandoc finds nothing to warn of; each function that the
# library exports has its name and its prototype in exactly one page, and the
# compiler agrees with these prototypes; references lead somewhere; and each
# program under EXAMPLES compiles, runs, and prints what the page says.

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${O:-$top/build}
man=${TL_MAN:-$top/man}
cc=${CC:-gcc}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$top/tests/harness/tap.sh"

pages=$(cd "$man" && ls *.[0-9])
api_pages=$(cd "$man" && ls *.3)
tool_pages=$(cd "$man" && ls *.1)

# Programs and what they print: each display in EXAMPLES with a main() in it
# becomes PAGE.N.c, and a display that follows it PAGE.N.out.
extract() {	# extract PAGE
	awk -v base="$tmp/$1" '
	/^\.Sh / { examples = $2 == "EXAMPLES" }
	examples && /^\.Bd -literal/ { inside = 1; text = ""; next }
	inside && /^\.Ed/ {
		inside = 0
		if (text ~ /(^|\n)int main\(/) {
			program++
			printf "%s", text > (base "." program ".c")
		} else if (program)
			printf "%s", text > (base "." program ".out")
		next
	}
	inside {
		sub(/^\\&/, "")
		gsub(/\\e/, "\\")
		text = text $0 "\n"
	}' "$man/$1"
}
for page in $pages; do
	extract "$page"
done
programs=$(cd "$tmp" && ls *.c 2>/dev/null)
with_io() {	# whether the program's page says that TL_IO matters to it
	grep -qE '\btl_(read|write|recv|send|accept|connect|features|offload)' \
		"$tmp/$1"
}
runs=$(for program in $programs; do
	echo "$program"
	with_io "$program" && echo "$program epoll"
done)

tap_plan "$(($(echo $pages | wc -w) + 7 + $(echo $tool_pages | wc -w) +
	$(echo $programs | wc -w) +
	$(echo "$runs" | wc -l)))"

for page in $pages; do
	if command -v mandoc >/dev/null; then
		check "mandoc has nothing to warn of in $page" \
			mandoc -Tlint -W warning "$man/$page"
	else
		tap_skip "no mandoc" "mandoc has nothing to warn of in $page"
	fi
done

mapped() {
	# what begins with tl__ is for the headers' own use
	sed -n 's/^[[:space:]]*\(tl_[a-z0-9_]*\);.*/\1/p' "$top/lib/libtasklet.map" |
		grep -v '^tl__' | sort -u
}
section() {	# section TITLE PAGE...: the lines of that section
	local title=$1
	shift
	for page; do
		sed -n "/^\.Sh $title\$/,/^\.Sh /p" "$man/$page" | sed '1d;$d'
	done
}

named() {
	section NAME $api_pages | sed -n 's/^\.Nm \(tl_[a-z0-9_]*\).*/\1/p' | sort
}
check "each exported function is a name of one page, and nothing else is" \
	diff <(mapped) <(named)

declared() {
	section SYNOPSIS $api_pages |
		sed -n 's/^\.F[on] \(tl_[a-z0-9_]*\).*/\1/p' | sort
}
check "each has its prototype in one page" diff <(mapped) <(declared)

same_page() {
	local page bad=0
	for page in $api_pages; do
		diff <(section NAME "$page" |
			sed -n 's/^\.Nm \(tl_[a-z0-9_]*\).*/\1/p' | sort) \
		     <(section SYNOPSIS "$page" |
			sed -n 's/^\.F[on] \(tl_[a-z0-9_]*\).*/\1/p' | sort) ||
			{ echo "$page"; bad=1; }
	done
	return $bad
}
check "... in the page that has its name" same_page

# The prototypes, once more after the headers: a conflict does not compile.
prototypes() {
	echo '#include <tasklet/tasklet.h>'
	section SYNOPSIS $api_pages | awk '
	function rest() { sub(/^\.[A-Z][a-z] /, ""); gsub(/"/, ""); return $0 }
	/^\.Ft / { type = rest() }
	/^\.Fo / { name = rest(); args = "" }
	/^\.Fa / { args = args (args == "" ? "" : ", ") rest() }
	/^\.Fc/ { print type " " name "(" args ");" }'
}
prototypes >"$tmp/prototypes.h"
check "... which is that of the headers" $cc -std=c11 -Wall -Wextra -Werror \
	-Wstrict-prototypes -I"$top/include" -x c -fsyntax-only \
	"$tmp/prototypes.h"

# Structures and types in displays, without comments and spacing, must occur in
# the headers.
plain() {
	tr '\n\t' '  ' | sed -E 's|/\*[^*]*(\*[^/*][^*]*)*\*/||g; s/ +/ /g'
}
types() {
	local page bad=0 found=0 headers type
	headers=$(cat "$top"/include/tasklet/*.h | plain)
	for page in $api_pages; do
		while read -r type; do
			found=$((found + 1))
			[[ $headers == *"$type"* ]] ||
				{ echo "$page: $type"; bad=1; }
		done < <(awk '
			/^(struct tl_[a-z_]* {|typedef )/ { shown = 1; text = "" }
			shown { text = text $0 " " }
			shown && (/^};/ || (text ~ /^typedef/ && /;$/)) {
				print text
				shown = 0
			}' "$man/$page" | while read -r type; do
				plain <<<"$type" && echo
			done)
	done
	[ $found -ge 8 ] || { echo "found only $found of them"; bad=1; }
	return $bad
}
check "structures and types are shown as the headers have them" types

sections() {
	local page title bad=0
	for page in $api_pages; do
		for title in NAME SYNOPSIS DESCRIPTION CONTEXTS \
			"MEMORY ORDERING" "RETURN VALUES" EXAMPLES ERRORS \
			"SEE ALSO"; do
			grep -qx "\.Sh $title" "$man/$page" ||
				{ echo "$page has no $title"; bad=1; }
		done
		[ -e "$tmp/$page.1.c" ] ||
			{ echo "$page has no program"; bad=1; }
	done
	return $bad
}
check "each page of functions has all sections, and a program" sections

references() {
	local bad=0 page name number
	for page in $pages; do
		while read -r name number; do
			[ -e "$man/$name.$number" ] ||
				{ echo "$page: $name($number)"; bad=1; }
		done < <(sed -n 's/.*\.*Xr \(tl[-_a-z0-9]*\|tasklet[_a-z]*\) \([0-9]\).*/\1 \2/p' \
			"$man/$page")
	done
	return $bad
}
check "references to our own pages lead somewhere" references

# A tool's page has the options that the tool has.
options_of_page() {
	grep -E '^\.It Fl' "$man/$1" | grep -oE 'Fl -[a-z][-a-z]*' |
		sed 's/^Fl -/--/' | sort -u
}
options_of_tool() {
	"$build/tools/$1" --help | grep -oE '^ {2,6}.{0,4}--[a-z][-a-z]*' |
		grep -oE -- '--[a-z][-a-z]*' | sort -u
}
for page in $tool_pages; do
	tool=${page%.1}
	if [ -x "$build/tools/$tool" ]; then
		check "$page has the options of $tool" \
			diff <(options_of_tool "$tool") <(options_of_page "$page")
	else
		tap_skip "$tool was not built" "$page has the options of $tool"
	fi
done

for program in $programs; do
	check "${program%.c} compiles" $cc -Wall -Wextra -Werror \
		-I"$top/include" -o "$tmp/${program%.c}" "$tmp/$program" \
		"$build/libtasklet.a" -luring -lpthread -lm
done

run() {	# run PROGRAM [epoll]
	local program=$tmp/${1%.c} status
	env ${2:+TL_IO=$2} timeout 20 "$program" >"$program.got" 2>"$program.err"
	status=$?
	[ $status = 0 ] || { echo "exit $status"; cat "$program.err"; return 1; }
	[ ! -e "$program.out" ] || diff "$program.out" "$program.got"
}
unset TL_IO
while read -r program io; do
	check "${program%.c} runs${io:+ with TL_IO=$io}$(
		[ -e "$tmp/${program%.c}.out" ] &&
		echo ' and prints what the page shows')" run "$program" $io
done <<<"$runs"
tap_end
