# Proxy template: the agent writes the values to /run/airlock/proxy.env when the VM is configured.
if [ -r /run/airlock/proxy.env ]; then
	set -a
	. /run/airlock/proxy.env
	set +a
fi
export BROWSER=/usr/local/bin/airlock-open-url
