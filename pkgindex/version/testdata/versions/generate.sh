#!/bin/sh
# Writes debian.golden, pacman.golden and rpm.golden: for every two versions of
# the .list of that name, how the distribution's own program orders them. Run it
# after a change of a list, on a machine with dpkg, rpm, and vercmp (in Debian's
# package pacman-package-manager). The tests read the golden files only.
set -eu
cd "$(dirname "$0")"

for tool in dpkg vercmp rpm; do
	command -v "$tool" >/dev/null || { echo "generate.sh: $tool is not installed" >&2; exit 1; }
done

debian() {
	if dpkg --compare-versions "$1" lt "$2"; then echo '<'
	elif dpkg --compare-versions "$1" eq "$2"; then echo '='
	else echo '>'; fi
}

pacman() {
	case $(vercmp "$1" "$2") in
	-1) echo '<' ;;
	0) echo '=' ;;
	1) echo '>' ;;
	esac
}

rpm() {
	case $(command rpm --eval "%{lua:print(rpm.vercmp('$1', '$2'))}") in
	-1) echo '<' ;;
	0) echo '=' ;;
	1) echo '>' ;;
	esac
}

for scheme in debian pacman rpm; do
	while read -r a; do
		while read -r b; do
			[ "$a" = "$b" ] && break
			echo "$b $("$scheme" "$b" "$a") $a"
		done <"$scheme.list"
	done <"$scheme.list" >"$scheme.golden"
	echo "$scheme.golden: $(wc -l <"$scheme.golden") comparisons"
done
