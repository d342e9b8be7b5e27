#!/bin/sh
# One phone call with curl: place it, wait for the outcome, look at the SIP. Start `tocsin demo` first.
#   examples/curl.sh [NUMBER] [TEXT]
set -eu
url=${TOCSIN_URL:-http://127.0.0.1:8088}
key=${TOCSIN_API_KEY:-tk_test_demo}
to=${1:-12025550110}
text=${2:-"Disk full on database one. Press one to acknowledge."}

# A form reads like a sentence. Write the digits without "+": in a form a plus is a blank.
call=$(curl -sS --fail-with-body "$url/v1/calls" -u "$key:" -H "Prefer: wait=60" \
    -d to="$to" --data-urlencode say="$text" -d gather='{"digits_max":1}')
echo "$call"

id=$(echo "$call" | sed -n 's/.*"call_id":"\(call_[^"]*\)".*/\1/p')
echo
curl -sS --fail-with-body "$url/v1/calls/$id/sip?format=text" -u "$key:"
