#!/bin/sh
# initrd.sh KERNEL_VERSION TARGET: packs busybox, the drivers that a VM needs to find its root and network, `init`, and what names its
# drives.
# Not compressed: it is small, and unpacking costs time at each boot.
set -eu
kernel=$1
target=$2
tree=$(mktemp -d)

mkdir -p "$tree/bin" "$tree/modules" "$tree/dev" "$tree/proc" "$tree/sys" "$tree/run" "$tree/root" "$tree/overlay"
cp /usr/bin/busybox "$tree/bin/busybox"
cp "${0%/*}/init" "$tree/init"
cp "${0%/*}/name-drives" "$tree/bin/name-drives"
chmod 755 "$tree/init" "$tree/bin/name-drives"

# In the order in which they are loaded; what one needs comes before it.
number=10
modprobe --set-version "$kernel" --show-depends --all virtio_mmio virtio_blk virtio_net virtio_rng overlay |
	while read -r verb file _; do
		[ "$verb" = insmod ] || continue
		name=$(basename "$file" .ko.xz)
		[ -z "$(find "$tree/modules" -name "*-$name.ko")" ] || continue
		busybox xzcat "$file" >"$tree/modules/$number-$name.ko"
		number=$((number + 1))
	done

# Neither when nor on which disk it was made shows.
find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
(cd "$tree" && find . | LC_ALL=C sort | cpio --quiet --create --format=newc --owner=0:0 --reproducible) >"$target"
rm -rf "$tree"
