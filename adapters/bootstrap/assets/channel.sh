#!/bin/bash
# ebb: the channel, which is metadata of the home queue on the ClearML server. Sourced by run-agent.sh.
# Names of variables begin with ebb_: the init script's exports are in this shell too.

ebb_token='' ebb_token_at=0 ebb_body='' ebb_status=''
ebb_home=${EBB_QUEUES%%$'\n'*} ebb_queue='' # name and id
ebb_ack_due='' ebb_notice_due=''            # what is still to be written

# ebb_quote VALUE: REPLY is what stands between the quotes of a line for curl -K.
ebb_quote() {
	REPLY=${1//\\/\\\\}
	REPLY=${REPLY//\"/\\\"}
	REPLY=${REPLY//$'\n'/\\n}
	REPLY=${REPLY//$'\r'/\\r}
	REPLY=${REPLY//$'\t'/\\t}
}

# ebb_verify: how curl checks the server's certificate; as the agent is told to.
ebb_verify() {
	case ${CLEARML_API_HOST_VERIFY_CERT:-} in
	'') ! grep -qsE '^[^#]*verify_certificate"? *[:=] *"?(false|0|no|off)' "$HOME/clearml.conf" || echo insecure ;;
	0 | [Ff]alse | FALSE) echo insecure ;;
	esac
	if [ -n "${REQUESTS_CA_BUNDLE:-}" ]; then
		ebb_quote "$REQUESTS_CA_BUNDLE"
		printf 'cacert = "%s"\n' "$REPLY"
	fi
}

# ebb_post ACTION JSON CREDENTIALS: one request. The credentials are a line for curl -K.
ebb_post() {
	local answer
	ebb_body='' ebb_status=''
	ebb_quote "$2"
	answer=$(
		{
			printf '%s\n' "$3" 'header = "Content-Type: application/json"' "data-raw = \"$REPLY\""
			ebb_verify
		} | curl -sS -m "$EBB_HTTP_SECONDS" -w '\n%{http_code}' -K - "${CLEARML_API_HOST%/}/v2.30/$1" 3>&-
	) || return
	ebb_status=${answer##*$'\n'} ebb_body=${answer%$'\n'*}
}

# ebb_login: once, and then for a fresh token each day, since one that was given ends some time.
ebb_login() {
	local credentials
	if [ -n "$ebb_token" ]; then
		credentials="header = \"Authorization: Bearer $ebb_token\""
	elif [ -n "${CLEARML_AUTH_TOKEN:-}" ]; then
		ebb_quote "$CLEARML_AUTH_TOKEN"
		credentials="header = \"Authorization: Bearer $REPLY\""
	else
		ebb_quote "${CLEARML_API_ACCESS_KEY:-}:${CLEARML_API_SECRET_KEY:-}"
		credentials="user = \"$REPLY\""
	fi
	ebb_post auth.login '{}' "$credentials" || return
	ebb_token=''
	[ "$ebb_status" = 200 ] && [[ $ebb_body =~ \"token\":\ *\"([^\"\\]+)\" ]] || return
	ebb_token=${BASH_REMATCH[1]} ebb_token_at=$ebb_now
}

# ebb_call ACTION JSON: the answer is in ebb_body.
ebb_call() {
	local try
	for try in 1 2; do
		if [ -z "$ebb_token" ] || [ "$((ebb_now - ebb_token_at))" -gt 86400 ]; then
			ebb_login || return
		fi
		ebb_post "$1" "$2" "header = \"Authorization: Bearer $ebb_token\"" || return
		[ "$ebb_status$try" = 4011 ] || break # refused the first time
		ebb_token=''
	done
	[ "$ebb_status" = 200 ]
}

# ebb_value KEY: REPLY is its value in ebb_body, empty if there is none. (Cutting a long body up with ${…#*…} takes minutes.)
ebb_value() {
	local pattern="\"$1\": *\\{[^}]*\"value\": *\"([^\"\\\\]*)\""
	REPLY=''
	[[ ! $ebb_body =~ $pattern ]] || REPLY=${BASH_REMATCH[1]}
}

# ebb_find: the home queue's id, by the agent's own rule: what looks like an id is one.
ebb_find() {
	[ -z "$ebb_queue" ] || return 0
	if [[ $ebb_home =~ ^[-a-f0-9]{30,}$ ]]; then
		ebb_queue=$ebb_home
		return
	fi
	ebb_call queues.get_all "$EBB_HOME_QUERY" || return
	[[ ! $ebb_body =~ \"queues\":\ *\[\ *\{\ *\"id\":\ *\"([0-9a-zA-Z_-]+)\" ]] || ebb_queue=${BASH_REMATCH[1]}
}

# ebb_read: ebb_order and ebb_sign are what the channel says. Fails when ClearML did not answer.
ebb_read() {
	ebb_order='' ebb_sign=''
	ebb_find || return
	[ -n "$ebb_queue" ] || return 0
	ebb_call queues.get_all "{\"id\":[\"$ebb_queue\"],\"only_fields\":[\"id\",\"metadata\"]}" || return
	[[ $ebb_body =~ \"queues\":\ *\[\ *\{ ]] || ebb_queue='' # gone; a new one of this name has another id
	ebb_value "ebb.drain.$EBB_INSTANCE_ID"
	ebb_order=$REPLY
	[ -z "${EBB_AUTOSCALER:-}" ] || ebb_value "ebb.lease.$EBB_AUTOSCALER"
	ebb_sign=$REPLY
}

# ebb_set PREFIX VALUE writes this instance's key.
ebb_set() {
	[ -n "$ebb_queue" ] && ebb_call queues.add_or_update_metadata \
		"{\"queue\":\"$ebb_queue\",\"metadata\":[{\"key\":\"$1.$EBB_INSTANCE_ID\",\"type\":\"str\",\"value\":\"$2\"}]}"
}

# ebb_write_due writes what is to be written, and keeps what could not be.
ebb_write_due() {
	[ -z "$ebb_ack_due" ] || ! ebb_set ebb.ack "$ebb_ack_due" || ebb_ack_due=''
	[ -z "$ebb_notice_due" ] || ! ebb_set ebb.notice "$ebb_notice_due" || ebb_notice_due=''
}

# ebb_ack STATE [TASK]
ebb_ack() {
	printf -v ebb_ack_due '%s %(%s)T %s' "$ebb_epoch" -1 "$*"
	ebb_write_due
}
