#!/bin/sh
# Makes every sound of this folder anew, and the list of checksums in README.md.
# Needs Debian's espeak-ng, sox, lame, vorbis-tools and python3.
# The same versions of them (README.md) give the same octets.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# speech NAME TEXT: spoken by espeak-ng, brought to the band and level of a phone line, with a short silence at both ends.
speech() {
    espeak-ng -v en-us+f2 -s 150 -p 45 -g 2 -w "$work/$1-spoken.wav" "$2"
    sox -R "$work/$1-spoken.wav" -D -b 16 -c 1 "$work/$1.wav" \
        silence 1 0.01 0.1% reverse silence 1 0.01 0.1% reverse \
        highpass 200 lowpass 3500 rate -v 8000 \
        compand 0.005,0.1 6:-60,-60,-30,-18,-12,-12,0,-8 0 -60 0.005 \
        norm -4 pad 0.15 0.25
}

speech start "Welcome. The next free agent will take your call. This call may be recorded."
speech announcement "Thank you for waiting. An agent will be with you soon."
speech logged-in "You are now logged in."
speech logged-out "You are now logged out."
speech not-an-agent "This phone has no agent."
python3 music.py "$work/music.wav"
python3 voices.py "$work"

# All four formats that Ringmaster reads, so that each start tries all four decoders.
cp "$work/start.wav" "$work/not-an-agent.wav" .
oggenc --quiet --serial 1 --quality 4 --output announcement.ogg "$work/announcement.wav"
for language in en ru; do
    oggenc --quiet --serial 1 --quality 2 --output "$language.ogg" "$work/$language.wav"
done
lame --quiet --noreplaygain -m m -b 24 "$work/logged-in.wav" logged-in.mp3
lame --quiet --noreplaygain -m m -b 24 "$work/logged-out.wav" logged-out.mp3
sox -R "$work/music.wav" -D --compression 8 music.flac

# The checksums stand at the end of README.md, after the line "## Checksums".
{
    sed '/^## Checksums$/q' README.md
    printf '\n```\n'
    sha256sum *.flac *.mp3 *.ogg *.parts *.wav
    printf '```\n'
} >"$work/README.md"
cp "$work/README.md" README.md
