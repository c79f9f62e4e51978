#!/usr/bin/env bash
# Takes the pictures of the docs from the running program: those of the dashboard
# with the browser test (node, npm, chromium), that of the terminal with tmux, freeze
# (go install github.com/charmbracelet/freeze@v0.2.2) and rsvg-convert (Debian:
# librsvg2-bin) with a monospace font.
set -euo pipefail
cd "$(dirname "$0")/../.."
make build web-modules
EBB_PICTURES="$PWD/docs/pictures" go test -tags real -count=1 ./cmd/internal/contract/dashboard
session=ebb-picture-$$
tmux new-session -d -s "$session" -x 118 -y 38 'bin/ebb demo --for 2m --seed 2'
trap 'tmux kill-session -t "$session" 2>/dev/null || true' EXIT
sleep "${1:-11}"
tmux capture-pane -t "$session" -e -p >docs/pictures/demo.ansi
freeze docs/pictures/demo.ansi --language ansi --font.family monospace --window=false --padding 16 \
	--background '#0d1117' --output docs/pictures/demo.svg >/dev/null
rsvg-convert --zoom 1.5 docs/pictures/demo.svg --output docs/pictures/demo.png
rm docs/pictures/demo.ansi docs/pictures/demo.svg
