#!/bin/sh
# Takes away what no one runs in a VM and what packages or npm would not leave out by themselves.
set -eu

# Python, which openbox brings for its own autostart (systemd's is used), and Tk, which x11vnc brings for a settings window.
dpkg-query -W -f '${Package}\n' | grep -E '^(lib)?python3|^(lib)?(tk|tcl)(8[.]6)?$' |
	xargs dpkg --purge --force-depends >/dev/null
rm -rf /usr/lib/python3* /usr/share/python3 /usr/share/tcltk

# What the providers' files name of their CLIs.
sh "${0%/*}/slim-clis.sh"
