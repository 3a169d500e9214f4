#!/bin/sh
# Runs inside the new root before finish.sh: notes what finish.sh may take away. Licences of the packages as far as their
# copyright files say them in Debian's machine-readable form, and the configuration of the kernel.
set -eu
build=/usr/lib/airlock/build

cp /boot/config-* "$build/kernel-config"
cd /usr/share/doc
for file in */copyright; do
	grep -q '^Format:.*copyright-format' "$file" || continue
	sed -n "s|^License:[[:space:]]*\([^[:space:]].*\)$|${file%/copyright}	\1|p" "$file"
done | LC_ALL=C sort -u >"$build/licences"
