#!/bin/sh
# Runs once inside the new root, after packages, CLIs and guest files are there: user, units, pointers, initrd, tidying.
# Leaves kernel, initrd and facts for the builder in /usr/lib/airlock/build, which the builder takes away.
set -eu
build=/usr/lib/airlock/build

groupadd --gid 1000 airlock
useradd --uid 1000 --gid 1000 --no-create-home --home-dir /home/airlock --shell /bin/bash airlock
# Empty: the CLI VM puts an encryption policy on it, and that needs an empty folder.
install -d -m 0700 -o airlock -g airlock /home/airlock
# Where open-home-disk mounts the disk with a home of its own.
install -d -m 0700 /var/lib/airlock /var/lib/airlock/home
echo airlock >/etc/hostname

systemctl --quiet enable airlock-network.service airlock-agent.socket airlock-agent.service airlock-configured.path \
	airlock-xvfb.socket airlock-xvfb.service airlock-x11vnc.service airlock-openbox.service airlock-session.service \
	airlock-browser.service
systemctl --quiet --global enable airlock-autostart.path
systemctl --quiet set-default multi-user.target

# Nothing of this serves a VM that is never logged in to, never updated and never rebooted into another system.
systemctl --quiet mask getty.target console-getty.service systemd-logind.service dbus.service dbus.socket \
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
	systemd-random-seed.service systemd-machine-id-commit.service systemd-firstboot.service systemd-hwdb-update.service \
	systemd-journal-catalog-update.service systemd-journal-flush.service systemd-update-done.service ldconfig.service \
	systemd-sysusers.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount systemd-pstore.service \
	systemd-hibernate-clear.service systemd-pcrmachine.service systemd-pcrphase.service systemd-pcrphase-sysinit.service \
	systemd-tpm2-setup.service systemd-tpm2-setup-early.service systemd-ask-password-console.path \
	systemd-ask-password-wall.path systemd-user-sessions.service remote-fs.target \
	systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service \
	systemd-udev-load-credentials.service systemd-modules-load.service kmod-static-nodes.service \
	systemd-tmpfiles-setup-dev.service systemd-tmpfiles-setup-dev-early.service systemd-pcrlock.socket \
	systemd-pcrextend.socket systemd-creds.socket systemd-sysext.socket systemd-hostnamed.socket \
	systemd-initctl.socket run-lock.mount \
	sys-kernel-tracing.mount sys-kernel-debug.mount sys-kernel-config.mount sys-fs-fuse-connections.mount \
	dev-hugepages.mount dev-mqueue.mount
mkdir -p /etc/systemd/system-generators
for generator in /usr/lib/systemd/system-generators/*; do
	ln -sf /dev/null "/etc/systemd/system-generators/${generator##*/}"
done

# The agent writes these when the VM is configured; tmpfiles.d/airlock.conf gives them a harmless first form.
cp --dereference /etc/ssl/certs/ca-certificates.crt /usr/share/airlock/ca-certificates.crt
ln -sfn /run/airlock/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ln -sfn /run/airlock/resolv.conf /etc/resolv.conf
ln -sfn /run/airlock/hosts /etc/hosts
ln -sfn /run/airlock/localtime /etc/localtime

# mkfs.ext4 keeps whole seconds only, and a font cache counts for nothing when its folder's time differs in the least.
find /usr/share/fonts -type d -exec touch --date=@1700000000 {} +
fc-cache --system-only --force

# The keyboard of every display: AltGr and dead keys for 172 Latin letters. Xvfb takes no layout, only the default of "us".
perl -0pi -e 's/^default +(partial [^\n]*\nxkb_symbols "basic")/$1/m; s/^(partial [^\n]*\nxkb_symbols "altgr-intl")/default $1/m' \
	/usr/share/X11/xkb/symbols/us

# Whatever asks for a web browser by Debian's own name gets the visible one. Packages of browsers give themselves up to 200.
update-alternatives --quiet --install /usr/bin/x-www-browser x-www-browser /usr/local/bin/airlock-open-url 300

# It would write a link to the machine id into /var/lib at each boot, for a bus that does not run.
ln -s /dev/null /etc/tmpfiles.d/dbus.conf
# It would make /root/.ssh, for keys that nobody brings.
ln -s /dev/null /etc/tmpfiles.d/provision.conf

sh "$build/slim.sh"

# Nobody becomes somebody else in a VM: the desktop user has no password, and the agent is root already.
find / -xdev -type f -perm /6000 -exec chmod ug-s {} +

# The mirror of the machine that built the image, perhaps with a password, is nobody's business.
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/00airlock-host \
	/etc/apt/apt.conf.d/99mmdebstrap

kernel=$(basename /boot/vmlinuz-*)
sh "$build/initrd.sh" "${kernel#vmlinuz-}" "$build/initrd.img"
mv "/boot/$kernel" "$build/vmlinuz"
{
	echo "kernel=${kernel#vmlinuz-}"
	echo "debian=$(cat /etc/debian_version)"
	echo "chromium=$(dpkg-query -W -f '${Version}' chromium)"
	echo "node=$(node --version)"
} >"$build/facts"

# Not /tmp and not apt's lists: mmdebstrap keeps its own settings in /tmp until it has tidied both, and without them its
# apt would tidy the machine that builds.
rm -rf /root/.ssh /boot/* /vmlinuz* /initrd.img* /var/cache/debconf/*-old /var/log/* /var/tmp/* /var/lib/dbus/machine-id
: >/etc/machine-id
