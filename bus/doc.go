// Package bus carries events and the launch ledger over NATS JetStream. It is
// the only package that imports NATS.
//
// [Start] runs an embedded server over the state directory, [Connect] connects
// to it or to an external one, [Bus.Publish] and [Bus.Events] write and read
// events, [Bus.OpenLedger] opens the launch ledger of one autoscaler.
//
// # The law of events
//
// Let S be the stream EBB_EVENTS: a sequence of messages, each with a subject
// and an id. Let P = Publish(e1 … en) be a call, and W the dedupe window of ten
// minutes, measured by the server from the moment it stored an id.
//
//	E1 durable   P returns nil  ⇒  each ei is in S, and synced to disk where the
//	             server syncs always.
//	E2 prefix    P returns an error  ⇒  there is k, 0 ≤ k ≤ n, such that
//	             e1 … ek are in S, and ek+1 … en are not and will not be, or
//	             (only while the answer of the server is outstanding) the next
//	             up to 500 events are stored together, later, or never.
//	E3 order     i < j, neither ei nor ej in S before P  ⇒  ei before ej in S.
//	             P returns before Q is called, on the same Bus, no event in
//	             both  ⇒  what P adds is before what Q adds.
//	E4 once      for any id, S gains at most one message with it in any W.
//	E5 form      each message that P adds is a CloudEvent 1.0 in structured
//	             JSON on ebb.v1.<autoscaler>.<noun>.<verb>; its id is also the
//	             header Nats-Msg-Id.
//	E6 reading   Events calls its handler along S: in order, each message of
//	             the query once, without gaps, one call at a time.
//
// In other words: when Publish says yes, the events are on disk, in the order
// given. When it says no, repeat the same events: nothing is stored twice and
// nothing is stored out of order. Several events go as one atomic batch where
// the server can do that (2.12 and later), and else one by one, each waiting
// for the one before. Publishing asynchronously and waiting at the end would
// keep neither E2 nor E3 when a connection breaks and comes back in between.
//
// An event that can never be stored (no id, too long, not JSON) is refused with
// a [messages.Failure] of class ClassInvalid that carries its id, before
// anything is sent. Whoever repeats must drop that event, or repeats for ever.
//
// Not promised:
//   - that an event is published at all: a process that dies takes along what
//     it has not published yet. Events tell the story; nothing decides by them.
//   - order between two autoscalers, two connections, or two calls of Publish
//     that run at the same time.
//   - that the time of an event grows along the stream: events that waited for
//     the bus are stored late. Order by the stream, show the event's time.
//   - once, beyond the window: an event whose acknowledgment was lost and that
//     is repeated more than ten minutes later is there twice. The id tells.
//   - that events stay: the oldest go after 30 days, or when the stream reaches
//     its size, whichever comes first.
//   - that a subscriber without JetStream (nats sub) sees every event, or each
//     one once. Read the stream for that.
//   - that every message on ebb.v1.> is ours, or of a kind that this version
//     knows. [Bus.Events] hands on what it cannot read, raw, with the problem.
//
// # The law of the ledger
//
// Let L be the stream EBB_LEDGER, L|a,r its records for autoscaler a and
// resource type r, and N(L) its nonce: drawn at random when the stream is made,
// kept in its metadata, never changed. A record is intent(request, …) or
// done(launch, outcome). For an intent at sequence s:
//
//	launch(s) = N(L) "-" s        ClientToken(s) = "ebb-" N(L) "-" s
//
//	L1 durable   Intend or Settle returns nil  ⇒  its record is in L, and on
//	             disk where the server syncs always.
//	L2 serial    each record is appended on the condition that the last record
//	             of L|a,r is the one its writer knew. So every writer has seen
//	             everything before its own record, whatever the number of
//	             writers, processes or time-outs.
//	L3 once      L|a,r holds at most one intent for a request, as long as its
//	             record is kept; Intend of that request answers that record.
//	L4 unique    s ≠ s' or N ≠ N'  ⇒  other launch id and other ClientToken. So
//	             neither a lost state directory nor a deleted stream brings one
//	             back.
//	L5 growing   the outcome of a launch is the fold of its done records:
//	             instances are added, never taken away; a failure counts only
//	             while there are no instances; the first failure stays.
//	L6 ordered   Launches answers by sequence, and sees every record whose
//	             Intend or Settle returned before it was called.
//	L7 strict    a record that cannot be read, or of a kind that is not known,
//	             is an error of every method: it may be what forbids a launch.
//
// In other words: ask Intend with the same request as often as you like, from
// as many processes as you like, after any crash: one record, one ClientToken.
// An error of Intend means "perhaps written": ask again with the same request,
// or find it among the open ones of Launches. When an append times out, the
// ledger reads the subject again and so learns what happened; the message id
// that each intent carries lets the server say so too. After each append the
// nonce is read once more, so that a stream that was replaced in between cannot
// lend its sequence to the old nonce.
//
// What is removed: a launch that is settled longer ago than the retention (7
// days), when all older launches of its resource type are settled that long
// too, and when there are enough of them to be worth it. So an open intent is
// never removed, nor is anything behind it; the last record of a subject stays
// too, because the next append names it. No limit of the stream removes
// anything: it has none, single records cannot be deleted, and a stream with
// limits is refused at start.
//
// Not promised:
//   - L3 after the retention: a request repeated 7 days after its launch was
//     settled is a new launch. Nobody repeats for that long.
//   - L4 after a restore: putting an old copy of the stream back, from a backup
//     or a snapshot of the disk, brings its nonce and old sequences back. EC2
//     then answers a ClientToken with the old instances or with
//     IdempotentParameterMismatch: too few instances, never too many. Delete
//     the stream instead; it is made anew and EC2 tells what runs.
//   - anything across a power cut, when the server does not sync always.
//   - who may write: L2 orders the writers, it does not choose one. Fencing an
//     owner that lost its lease takes one more kind of record (a claim with an
//     epoch) on the same subject; L2 then shuts the old owner out, and L7 keeps
//     versions that do not know claims from writing past one.
package bus
