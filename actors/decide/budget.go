package decide

import (
	"time"

	"github.com/ebbscale/ebb/messages"
)

// What a resource type's statement says about its budget. Numbers below zero
// count as zero.

// coming is how many instances will be idle soon.
func coming(capacity messages.Capacity) int { return max(0, capacity.Coming) }

// staying is how many instances are there for work, or will be, and are not on
// their way out.
func staying(capacity messages.Capacity) int {
	return len(capacity.Idle) + coming(capacity) + len(capacity.Busy)
}

// alive is how many instances count against max_instances.
func alive(capacity messages.Capacity) int {
	return max(capacity.Alive, staying(capacity)+len(capacity.Recallable))
}

// over is how many instances have to go because there are too many. Those that
// are on their way out already do not count, nor those that may be gone.
func over(capacity messages.Capacity, limit int) int {
	return max(0, staying(capacity)-max(0, limit))
}

// recallable is how many instances may be taken back without being too many.
func recallable(capacity messages.Capacity, limit int) int {
	return min(len(capacity.Recallable), max(0, limit-staying(capacity)))
}

// room is how many instances may be launched now.
func room(now time.Time, capacity messages.Capacity, limit int) int {
	if !capacity.Known || blocked(now, capacity) {
		return 0
	}
	left := max(0, limit-alive(capacity))
	if capacity.LaunchLimit > 0 {
		left = min(left, capacity.LaunchLimit)
	}
	return left
}

// blocked says whether none of the offerings may be asked now.
func blocked(now time.Time, capacity messages.Capacity) bool {
	return now.Before(capacity.BlockedUntil)
}
