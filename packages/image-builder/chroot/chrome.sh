#!/bin/sh
# Runs inside the new root before finish.sh, only for `--browser google-chrome`: Google Chrome takes the place of Chromium,
# under Chromium's name, with the same profile, window class and policies, so that nothing else has to know.
set -eu
build=/usr/lib/airlock/build

apt-get install --yes --no-install-recommends "$build/google-chrome.deb"
dpkg-divert --rename --divert /usr/lib/chromium/chromium.debian /usr/lib/chromium/chromium
cat >/usr/lib/chromium/chromium <<'EOF'
#!/bin/sh
exec /opt/google/chrome/chrome --class=chromium --user-data-dir="${HOME:-/home/airlock}/.config/chromium" "$@"
EOF
chmod 755 /usr/lib/chromium/chromium
mkdir -p /etc/opt/chrome/policies
ln -s /etc/chromium/policies/managed /etc/opt/chrome/policies/managed
# It updates itself by these; an image does not.
rm -f /etc/apt/sources.list.d/google-chrome* /etc/cron.daily/google-chrome
rm "$build/google-chrome.deb"
