"""Installs peers that are missing, with apt. Nothing is downloaded when all are there."""

import os
import shutil
import subprocess
from pathlib import Path

#: Debian package -> a file that it brings, below /usr.
NEEDED = {
    "sip-tester": "bin/sipp",
    "baresip-core": "bin/baresip",
    "sox": "bin/sox",
    "libsox-fmt-mp3": "lib/*/sox/libsox_fmt_mp3.so",
    "libfaketime": "lib/*/faketime/libfaketime.so.1",
    "sipvicious": "bin/svwar",
    "sipsak": "bin/sipsak",
    "kamailio": "sbin/kamailio",
    "linphone-cli": "bin/linphonec",
    "nftables": "sbin/nft",
    "iproute2": "bin/ip",
    "openssl": "bin/openssl",
    "chromium": "bin/chromium",
    "npm": "bin/npm",
    "tshark": "bin/tshark",
    "lame": "bin/lame",
    "flac": "bin/flac",
    "opus-tools": "bin/opusenc",
}


def install():
    """Installs what is missing; stops with a sentence where that cannot be done."""
    missing = [package for package, file in NEEDED.items() if not any(Path("/usr").glob(file))]
    if not missing:
        return
    print(f"installing {', '.join(missing)}", flush=True)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SystemExit(f"please install {', '.join(missing)}: this needs root and apt")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(["apt-get", "-qq", *command], env=quiet, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise SystemExit(f"apt-get {command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    if "kamailio" in missing and shutil.which("systemctl"):
        # Its package starts it on port 5060, where the switch wants to be.
        subprocess.run(["systemctl", "disable", "--now", "kamailio"], capture_output=True, timeout=60)
