// Package fakeclearml is a ClearML API server that lives in one process: the
// same paths, envelopes, codes, field names, dates and habits as the open-source
// server of API version 2.34, checked against recordings of the real one. The
// ClearML SDK and clearml-agent work against it.
//
// There are two layers. The model is a [Server] with typed methods (create a
// queue, enqueue a task, report a worker, …); it does no I/O, reads only the
// clock it is given, draws every identifier from a seeded source and never
// depends on the order of a map, so a simulator that calls it in the same order
// gets the same answers. [Server.Handler] puts the HTTP API on top of the same
// state; [Server.Transport] does so without a socket.
//
// What hurts on the real server is kept on purpose:
//
//   - a worker that died stays listed, with its last task, until its timeout;
//   - the key of a worker holds the user, so unregistering somebody else's worker
//     is a silent success that does nothing;
//   - an unregistered worker comes back with its next report;
//   - tag filters on workers answer from an index that forgets late;
//   - get_next_task pops a task and records no owner: until tasks.started the
//     task is queued, in no queue, and nobody repairs it;
//   - enqueueing a task into the queue it is in already fails and yet changes its
//     status_reason;
//   - a page never holds more than 500 rows, a scroll is not clipped;
//   - dates carry microseconds where the server keeps them in Redis, milliseconds
//     where it keeps them in its database, and no fraction at all on a whole
//     second.
//
// Tests script faults with [Server.AddFault], or over HTTP below /_fake/ (see
// [Server.Handler]).
//
// What is not there: worker statistics, everything around plots and debug images,
// reports, pipelines and serving answer 404 like an unknown endpoint; projects and
// models know only what a task's run needs; the history behind
// queues.get_queue_metrics is the last few thousand changes of each queue; name
// patterns are Go's regular expressions, which have no look-around.
//
// The fake takes each call under one lock. A lost compare-and-set (400/121) is
// therefore only seen when a fault asks for it ([Fault.Race]).
package fakeclearml
