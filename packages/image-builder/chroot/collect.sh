#!/bin/sh
# Runs inside the new root before finish.sh: notes what finish.sh may take away. Licences of the packages as far as their
# copyright files say them in Debian's machine-readable form, and the configuration of the kernel.
set -eu
build=/usr/lib/airlock/build

cp /boot/config-* "$build/kernel-config"
cd /usr/share/doc
# One program for all files: hundreds of greps take seconds.
awk 'FNR == 1 { readable = 0 }
/^Format:.*copyright-format/ { readable = 1 }
readable && /^License:[ \t]*[^ \t]/ {
	sub(/^License:[ \t]*/, "")
	print substr(FILENAME, 1, length(FILENAME) - length("/copyright")) "\t" $0
}' */copyright | LC_ALL=C sort -u >"$build/licences"
