#!/bin/bash
# ebb: decides when the agent pulls, when it ends, and when the machine does. Sourced by run-agent.sh.
# All times are seconds. Names of variables begin with ebb_: the init script's exports are here too.

: "${EBB_TICK_SECONDS:=1}"         # how often to look at the agent
: "${EBB_POLL_SECONDS:=5}"         # how often to look at the channel
: "${EBB_GRACE_SECONDS:=5}"        # from "drained" to powering off
: "${EBB_HTTP_SECONDS:=10}"        # one request
: "${EBB_STOP_SECONDS:=60}"        # what an agent gets to end
: "${EBB_UNFENCED_SECONDS:=60}"    # an agent that did not ask through the fence by then has none
: "${EBB_CHILDLESS_SECONDS:=6}"    # one without a fence is idle after so long without a child process
: "${EBB_STUCK_SECONDS:=120}"      # and so is one with a fence that says it has a task
: "${EBB_UNREACHABLE_SECONDS:=21600}"
if [ -z "${EBB_DEADMAN_SECONDS:-}" ]; then
	EBB_DEADMAN_SECONDS=$((3 * ${EBB_MAX_IDLE_SECONDS:-0}))
	[ "$EBB_DEADMAN_SECONDS" = 0 ] || [ "$EBB_DEADMAN_SECONDS" -ge 900 ] || EBB_DEADMAN_SECONDS=900
fi

ebb_epoch=0 ebb_word=run ebb_order='' # the last order heeded; what the channel says
ebb_sign='' ebb_last_sign='' ebb_still=0 ebb_looked_at=''
ebb_agent='' ebb_stopping='' ebb_now=0 ebb_started_at=0 ebb_task='' ebb_alone_at='' ebb_said=''
ebb_idle_at=0 ebb_pulled='' ebb_reached_at=0 ebb_answered='' ebb_lost=''
ebb_notices='' ebb_noticed='' ebb_next_look=0 ebb_next_trim=0

# ebb_clock: seconds that no change of the wall clock moves.
ebb_clock() {
	local up
	if read -r up _ 2>/dev/null </proc/uptime; then ebb_now=${up%.*}; else ebb_now=$SECONDS; fi
}

# ebb_pause SECONDS; a signal ends it.
ebb_pause() {
	sleep "$1" 3>&- &
	wait "$!" || kill "$!" 2>/dev/null || :
}

ebb_fence() { : >"$EBB_RUN/drain"; }
ebb_unfence() { rm -f "$EBB_RUN/drain"; }

# ebb_heed does what the channel orders, if that is news.
ebb_heed() {
	[[ $ebb_order =~ ^([0-9]{1,18})\ [0-9]+\ (drain|run)$ ]] || return 0
	[ "$((10#${BASH_REMATCH[1]}))" -gt "$ebb_epoch" ] || return 0
	ebb_epoch=$((10#${BASH_REMATCH[1]})) ebb_word=${BASH_REMATCH[2]}
	ebb_write 0600 "$EBB_RUN/heeded" "$ebb_epoch $ebb_word"
	ebb_said='' ebb_alone_at=''
	if [ "$ebb_word" = drain ]; then
		ebb_say "told to drain (epoch $ebb_epoch): the agent gets no more tasks"
		ebb_fence
		return
	fi
	ebb_say "told to run (epoch $ebb_epoch): the agent gets tasks"
	ebb_unfence
	[ -n "$ebb_agent" ] || ebb_start_agent
	ebb_ack running
}

# ebb_look reads the channel and heeds it. The autoscaler's silence only counts while ClearML answers.
ebb_look() {
	if ! ebb_read; then
		ebb_looked_at=''
		if ! ebb_agent_answered && [ -z "$ebb_lost" ] && [ "$((ebb_now - ebb_reached_at))" -ge 60 ]; then
			ebb_lost=1
			ebb_say "no good answer from the ClearML server for a minute (last HTTP status: ${ebb_status:-none})"
		fi
		ebb_unreachable || ebb_alone_at=''
		return 1
	fi
	[ -z "$ebb_lost" ] || ebb_say "the ClearML server answers again"
	if [ "$ebb_sign" != "$ebb_last_sign" ]; then
		ebb_last_sign=$ebb_sign ebb_still=0
	elif [ -n "$ebb_looked_at" ]; then
		ebb_still=$((ebb_still + ebb_now - ebb_looked_at))
	fi
	ebb_looked_at=$ebb_now ebb_reached_at=$ebb_now ebb_lost=''
	[ "$ebb_word" = drain ] || [ ! -e "$EBB_RUN/fenced" ] || ebb_alone_at=''
	ebb_heed
}

# ebb_agent_answered: has the agent had an answer of late? It may reach ClearML where curl does not.
ebb_agent_answered() {
	local at
	at=$(stat -c %Y "$EBB_RUN/answered" 2>/dev/null)
	[ "$at" != "$ebb_answered" ] || return
	ebb_answered=$at ebb_reached_at=$ebb_now ebb_lost=''
}

ebb_unreachable() {
	[ "$EBB_UNREACHABLE_SECONDS" -gt 0 ] && [ "$((ebb_now - ebb_reached_at))" -ge "$EBB_UNREACHABLE_SECONDS" ]
}

# ebb_idle, with the fence set: no task, and none can come. ebb_task is the one there is.
ebb_idle() {
	local task=''
	ebb_task=''
	if [ ! -e "$EBB_RUN/fenced" ]; then
		[ "$((ebb_now - ebb_started_at))" -ge "$EBB_UNFENCED_SECONDS" ] && ebb_childless "$EBB_CHILDLESS_SECONDS"
		return
	fi
	# Who asks for a task has the lock until the answer is written down, and who asks later finds the fence.
	exec 9>>"$EBB_RUN/lock" || return
	if ! flock -w 2 9; then
		exec 9>&-
		return 1
	fi
	[ ! -e "$EBB_RUN/task" ] || task=$(<"$EBB_RUN/task")
	exec 9>&-
	[ -n "$task" ] || return 0
	[[ ! $task =~ ^[0-9a-zA-Z_-]+$ ]] || ebb_task=$task
	# Nothing left of it: the agent has no queue to ask, such as when a tag holds it back.
	ebb_childless "$EBB_STUCK_SECONDS"
}

# ebb_childless SECONDS: the agent had no child process for so long, each time that this was asked.
ebb_childless() {
	if [ ! -r /proc/self/status ] || grep -qsx "PPid:[[:space:]]*$ebb_agent" /proc/[0-9]*/status; then
		ebb_alone_at=''
		return 1
	fi
	ebb_alone_at=${ebb_alone_at:-$ebb_now}
	[ "$((ebb_now - ebb_alone_at))" -ge "$1" ]
}

# ebb_stop_agent ends an agent that has no task. Asked to end, it unregisters; now and then it has to be asked twice.
ebb_stop_agent() {
	local since=$ebb_now asked=''
	[ -n "$ebb_agent" ] || return 0
	while kill -0 "$ebb_agent" 2>/dev/null && [ "$((ebb_now - since))" -lt "$EBB_STOP_SECONDS" ]; do
		if [ "$(((ebb_now - since) / 10))" != "$asked" ]; then
			asked=$(((ebb_now - since) / 10))
			kill -TERM "$ebb_agent" 2>/dev/null
		fi
		sleep 0.1
		ebb_clock
	done
	! kill -KILL "$ebb_agent" 2>/dev/null || ebb_say "the agent did not end, and was killed"
	wait "$ebb_agent"
	ebb_agent=''
}

# ebb_drain: what an order to drain asks for. Ends this shell, and so the machine, unless an order to run comes in time.
ebb_drain() {
	local epoch=$ebb_epoch
	if [ -n "$ebb_agent" ] && ! ebb_idle; then
		[ "$ebb_said" != "busy $ebb_task" ] || return 0
		ebb_said="busy $ebb_task"
		ebb_say "the agent is not idle yet${ebb_task:+: it finishes task $ebb_task}"
		ebb_ack busy ${ebb_task:+"$ebb_task"}
		return
	fi
	ebb_stop_agent
	ebb_say "drained: the agent has ended"
	ebb_ack drained
	ebb_pause "$EBB_GRACE_SECONDS"
	[ -z "$ebb_stopping" ] || return 0
	ebb_clock
	ebb_look
	[ "$ebb_word" = drain ] || return 0
	if [ "$ebb_epoch" = "$epoch" ]; then ebb_write_due; else ebb_ack drained; fi
	exit 0
}

# ebb_watch: what to do when nobody gives orders.
ebb_watch() {
	local pulled='' why=''
	[ ! -e "$EBB_RUN/pulled" ] || pulled=$(<"$EBB_RUN/pulled")
	if [ "$pulled" != "$ebb_pulled" ] || [ -s "$EBB_RUN/task" ] || { [ ! -e "$EBB_RUN/fenced" ] && ! ebb_childless 0; }; then
		ebb_pulled=$pulled ebb_idle_at=$ebb_now
	fi
	if ebb_unreachable; then
		why="no answer from the ClearML server for $EBB_UNREACHABLE_SECONDS s, and no task here"
	elif [ -n "${EBB_AUTOSCALER:-}" ] && [ "$EBB_DEADMAN_SECONDS" -gt 0 ] && [ -n "$ebb_looked_at" ] &&
		[ "$ebb_still" -ge "$EBB_DEADMAN_SECONDS" ] && [ "$((ebb_now - ebb_idle_at))" -ge "$EBB_DEADMAN_SECONDS" ]; then
		why="idle for $EBB_DEADMAN_SECONDS s without a sign of life of autoscaler $EBB_AUTOSCALER"
	else
		return 0
	fi
	ebb_fence
	# The lock may have waited for an answer to the agent.
	if ebb_idle && { [ -n "$ebb_looked_at" ] || ! ebb_agent_answered; }; then
		ebb_say "$why"
		ebb_stop_agent
		exit 0
	fi
	[ "$ebb_word" = drain ] || ebb_unfence
}

# ebb_notice reports once what EC2 announces to a spot instance.
ebb_notice() {
	local answer when
	if [ -z "$ebb_notices" ]; then
		answer=$(ebb_metadata instance-life-cycle 2 2>/dev/null)
		case $answer in on-demand | scheduled | capacity-block) ebb_notices=no ;; spot) ebb_notices=yes ;; esac
	fi
	[ "$ebb_notices" != no ] && [ "$ebb_noticed" != interruption ] || return 0
	{
		if answer=$(ebb_metadata spot/instance-action 2) && [[ $answer =~ \"time\":\ *\"([0-9TZ:.-]+)\" ]]; then
			when=$(date -u -d "${BASH_REMATCH[1]}" +%s) || when=0
			ebb_noticed=interruption
			ebb_say "EC2 takes this spot instance back at ${BASH_REMATCH[1]}"
		elif [ -z "$ebb_noticed" ] && answer=$(ebb_metadata events/recommendations/rebalance 2) && [[ $answer = *noticeTime* ]]; then
			when=0 ebb_noticed=rebalance
			ebb_say "EC2 says that it may take this spot instance back soon"
		else
			return 0
		fi
	} 2>/dev/null
	printf -v ebb_notice_due '%(%s)T %s %s' -1 "$ebb_noticed" "$when"
	ebb_write_due
}

# ebb_begin: what is left of an earlier run of this service is its last order.
ebb_begin() {
	ebb_clock
	ebb_reached_at=$ebb_now ebb_idle_at=$ebb_now
	if ! { mkdir -p "$EBB_RUN" && chmod 0700 "$EBB_RUN" && rm -f "$EBB_RUN"/{drain,task,pulled,fenced,answered}; }; then
		ebb_say "$EBB_RUN cannot be written: the agent runs without a fence"
	fi
	if [ -r "$EBB_RUN/heeded" ]; then
		read -r ebb_epoch ebb_word <<<"$(<"$EBB_RUN/heeded")"
		[ "$ebb_word" != drain ] || ebb_fence
	fi
}

# ebb_supervise returns when the agent has ended by itself or the service is being stopped.
ebb_supervise() {
	while ebb_pause "$EBB_TICK_SECONDS" && [ -z "$ebb_stopping" ]; do
		ebb_clock
		[ -z "$ebb_agent" ] || kill -0 "$ebb_agent" 2>/dev/null || return 0
		if [ "$ebb_now" -lt "$ebb_next_look" ]; then
			[ "$ebb_word" != drain ] || ebb_drain
			continue
		fi
		ebb_next_look=$((ebb_now + EBB_POLL_SECONDS))
		! ebb_look || ebb_write_due
		[ "$ebb_word" != drain ] || ebb_drain
		ebb_watch
		ebb_notice
		ebb_trim
	done
}
