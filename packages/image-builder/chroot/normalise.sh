#!/bin/sh
# Runs inside the new root after finish.sh: lists the packages that are left, and takes away what differs from build to build.
set -eu
build=/usr/lib/airlock/build

dpkg-query -W -f '${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n' |
	LC_ALL=C sort >"$build/packages"
# npm packages of the CLIs: the outer ones as well as those within.
find /usr/local/lib/node_modules -name package.json -path '*/node_modules/*' >"$build/npm-files"
node "$build/npm-packages.cjs" <"$build/npm-files" >"$build/npm-packages"

rm -rf /var/cache/ldconfig/aux-cache /var/cache/man /var/lib/systemd/catalog/database /etc/.pwd.lock
# The packages came from this host's cache, and the folder with them has the cache's owner and mode.
rm -rf /var/cache/apt/archives
install --directory --mode=0755 /var/cache/apt/archives
# A change time later than that of the image's making is cut off when the file system is written; an access time before it
# would remain, and depends on how the disk of this host is mounted.
find / -xdev ! -newerat "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference -a --date="@$SOURCE_DATE_EPOCH" {} +
