package decide

import (
	"maps"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/messages"
)

// Duplicates finds the tasks that two or more live workers report, by their ids.
func Duplicates(snapshot messages.ClearMLSnapshot, fates Fates) []messages.TaskDuplicated {
	var duplicates []messages.TaskDuplicated
	tasks := liveTasks(snapshot, fates)
	for _, task := range slices.Sorted(maps.Keys(tasks)) {
		rows := tasks[task]
		if len(rows) < 2 {
			continue
		}
		duplicate := messages.TaskDuplicated{Task: task, Name: rows[0].TaskName}
		for _, row := range rows {
			duplicate.Workers = append(duplicate.Workers, row.ID)
		}
		duplicates = append(duplicates, duplicate)
	}
	return duplicates
}

// liveTasks are the tasks that live workers report, each with its workers by
// their ids, each worker once. The row of a worker stays for a while when its
// instance is gone, and says nothing then.
func liveTasks(snapshot messages.ClearMLSnapshot, fates Fates) map[messages.TaskID][]messages.WorkerState {
	tasks := make(map[messages.TaskID][]messages.WorkerState)
	for _, row := range snapshot.Workers {
		if row.Task == "" || ageOf(row.LastActive, snapshot.ServerNow) > WorkerFreshness {
			continue
		}
		if worker, ok := messages.ParseWorkerID(row.ID); ok && fates.Of[worker.Instance].Fate == FateGone {
			continue
		}
		tasks[row.Task] = append(tasks[row.Task], row)
	}
	for task, rows := range tasks {
		slices.SortFunc(rows, func(a, b messages.WorkerState) int { return strings.Compare(string(a.ID), string(b.ID)) })
		tasks[task] = slices.CompactFunc(rows, func(a, b messages.WorkerState) bool { return a.ID == b.ID })
	}
	return tasks
}
