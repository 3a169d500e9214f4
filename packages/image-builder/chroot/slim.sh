#!/bin/sh
# Takes away what no one runs in a VM and what packages or npm would not leave out by themselves.
set -eu

# Python, which openbox brings for its own autostart (systemd's is used), and Tk, which x11vnc brings for a settings window.
dpkg-query -W -f '${Package}\n' | grep -E '^(lib)?python3|^(lib)?(tk|tcl)(8[.]6)?$' |
	xargs dpkg --purge --force-depends >/dev/null
rm -rf /usr/lib/python3* /usr/share/python3 /usr/share/tcltk

modules=/usr/local/lib/node_modules
# Codex: a host for speech; a VM has no sound.
find "$modules" -type d -path '*/codex-resources/voice' -prune -exec rm -rf {} +

# Gemini: a browser under remote control, which no VM here may be; and chunks that no path of imports reaches.
gemini=$modules/@google/gemini-cli/bundle
rm -rf "$gemini/bundled"
dead=$(node "${0%/*}/dead-chunks.mjs" "$gemini" gemini.js)
for chunk in $dead; do rm "$gemini/$chunk"; done
