#!/usr/bin/env bash
# Installs Asterisk 22 of Debian forky into a folder of its own, outside the repository: a peer of the benches and of the
# interop tests.
#
#   benches/peers/asterisk.sh            install (once; a second run only checks)
#   benches/peers/asterisk.sh --path     print the folder
#   benches/peers/asterisk.sh --remove   take it away again
#
# RINGMASTER_PEERS        where peers live (default /var/tmp/ringmaster-peers)
# RINGMASTER_DEB_MIRROR   the Debian mirror (default: the one apt uses for Debian's main on this machine)
# Needs root: debootstrap and chroot. Nothing outside the folder changes but the package debootstrap.
set -euo pipefail

root="${RINGMASTER_PEERS:-/var/tmp/ringmaster-peers}/asterisk"

say() { printf 'asterisk peer: %s\n' "$*"; }

# The mirror of Debian's own main on this machine, as apt knows it. Other machines (another distribution) name one.
mirror() {
  if [ -n "${RINGMASTER_DEB_MIRROR:-}" ]; then
    printf '%s\n' "$RINGMASTER_DEB_MIRROR"
    return
  fi
  apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(CREATED_BY)|$(REPO_URI)' |
    awk -F'|' '$1 == "Debian" && $2 == "Debian" && $3 == "main" && $4 == "Packages" { print $5; exit }'
}

in_chroot() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
  ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"; }

install_base() {
  local from
  from="$(mirror)"
  [ -n "$from" ] || { say "no Debian mirror in apt's configuration; set RINGMASTER_DEB_MIRROR"; exit 1; }
  command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq debootstrap; }
  rm -rf "$root"
  mkdir -p "$root"
  say "debootstrap forky into $root"
  # A debootstrap that is older than forky has no script of that name; sid's is the one forky's links to.
  debootstrap --variant=minbase forky "$root" "$from" /usr/share/debootstrap/scripts/sid >"$root.log" 2>&1 ||
    { say "debootstrap failed, see $root.log"; tail -n 5 "$root.log"; exit 1; }
}

install_asterisk() {
  # Nothing may start inside the folder while packages are set up.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod +x "$root/usr/sbin/policy-rc.d"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  # This machine's own rules for old or skewed release files, and its proxy, hold inside too.
  apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|https?::Proxy) ' >"$root/etc/apt/apt.conf.d/99host" || true
  say "apt-get install asterisk"
  { in_chroot apt-get update -qq && in_chroot apt-get install -y -qq --no-install-recommends asterisk; } >>"$root.log" 2>&1 ||
    { say "installation failed, see $root.log"; tail -n 5 "$root.log"; exit 1; }
}

case "${1:-}" in
--path) printf '%s\n' "$root"; exit 0 ;;
--remove) rm -rf "$root" "$root.log"; say "removed $root"; exit 0 ;;
"") ;;
*) sed -n '2,12p' "$0"; exit 2 ;;
esac

[ "$(id -u)" = 0 ] || { say "needs root (debootstrap, chroot)"; exit 1; }
[ -x "$root/usr/bin/dpkg" ] || install_base
[ -x "$root/usr/sbin/asterisk" ] || install_asterisk
# Asterisk looks its own name and a root server up while a call is set up. Without these lines it waits for a name
# server that a test machine may not have, and would be measured far below its worth.
printf '127.0.0.1 localhost %s A.ROOT-SERVERS.NET\n' "$(hostname)" >"$root/etc/hosts"
: >"$root/etc/resolv.conf"
say "$(in_chroot /usr/sbin/asterisk -V) in $root"
