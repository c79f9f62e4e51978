// Package bus carries events, the launch ledger, leases and small state over
// NATS JetStream. It is the only package that imports NATS.
//
// [Start] runs an embedded server over the state directory, [Connect] connects
// to it or to an external one, [Bus.Publish] and [Bus.Events] write and read
// events, [Bus.OpenLedger] opens the launch ledger of one autoscaler,
// [Bus.OpenLeases] the leases and [Bus.OpenState] the state of all of them, and
// [Bus.Serve] answers what operators ask.
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
// Let L be the stream EBB_LEDGER, L|a its records for autoscaler a, all on the
// one subject ebb.ledger.v1.<a>.%launches, and N(L) its nonce: drawn at random
// when the stream is made, kept in its metadata, never changed. A record is
// intent(request, …), done(launch, outcome) or claim(epoch). For an intent at
// sequence s:
//
//	launch(s) = N(L) "-" s        ClientToken(s) = "ebb-" N(L) "-" s
//
//	L1 durable   Intend or Settle returns nil  ⇒  its record is in L, and on
//	             disk where the server syncs always.
//	L2 serial    each record is appended on the condition that the last record
//	             of L|a is the one its writer knew. So every writer has seen
//	             everything before its own record, whatever the number of
//	             writers, processes or time-outs.
//	L3 once      L|a holds at most one intent for a request, as long as its
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
// A claim makes an epoch the owner's. Let fence(s) be the highest epoch of the
// records of L|a up to sequence s; every record repeats it.
//
//	F1 shut      Claim(e) returns nil  ⇒  from then on no intent with an epoch
//	             below e is appended, nor a done without instances, whatever
//	             the resource type: their writers get ClassFenced.
//	F2 growing   fence never falls: the claim of an epoch below it is refused
//	             with ClassFenced, that of the same epoch writes nothing.
//	F3 truth     a done with instances is appended whatever its epoch.
//	F4 complete  Claim(e) returns nil, then Launches  ⇒  every intent that an
//	             epoch below e ever appended is in the answer, if it is open.
//
// F1 is L2 and one comparison: whoever appends after the claim has seen it. A
// record that was prepared before it and arrives after it fails the condition of
// L2, at the server, however long it was under way. F4 is F1 and L6. An epoch
// that intends without having claimed shuts the lower ones out as well. An
// intent that got ClassFenced may have been written before the claim, when the
// answer to that was lost; then the new owner finds it, as any other.
//
// What is removed: a launch that is settled longer ago than the retention (7
// days), when all older launches of its autoscaler are settled that long too,
// and when there are enough of them to be worth it. So an open intent is never
// removed, nor is anything behind it; the last record stays too, because the
// next append names it, and it tells the fence. A ledger that was open meanwhile
// notices that its oldest record is gone, and reads anew: it would else take for
// open what was settled and removed. No limit of the stream removes anything: it
// has none, single records cannot be deleted, and a stream with limits is
// refused at start.
//
// Versions before the claim appended to one subject per resource type. Their
// records are read, settled and removed as all others; new ones go to the one
// subject. Such a version refuses (L7) a ledger with a claim in it.
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
//   - F1 against a version before the claim that runs at the same time: it sees
//     the claim when it reads next, and may append to its own subjects until
//     then. Stop the last of them before the first newer one starts.
//   - F1 across a deletion of the stream: who has seen the fence keeps it in
//     memory and writes it with its next record; until then an earlier owner
//     could write.
//   - that a shut-out owner stops: the ledger refuses what it writes, not what it
//     tells EC2 by an intent from before the claim. That is the same request with
//     the same ClientToken as the new owner's, so it launches nothing more.
//
// # The law of leases
//
// Let K be the bucket ebb_leases, with one key per autoscaler, and T, R, M the
// TTL, renewal and margin of the timing. The server lets a key run out T' after
// it was last written: a second before T, or a third of the margin. A holder may
// act from the return of Acquire or Renew until T - M after it called.
//
//	H1 one       at any moment at most one process may act for an autoscaler.
//	H2 growing   the epoch is the sequence of the write that acquired. It is above
//	             those of all earlier leases of any autoscaler, also after they
//	             ran out, were given back, purged, or lost with their server.
//	H3 told      a renewal by a holder whose lease is lost fails with ClassFenced,
//	             an acquisition of a held lease with ClassHeld; every other
//	             failure is ClassTransient, and tells nothing.
//	H4 soon      a lease that is not renewed can be acquired T' after its last
//	             write, one that is given back at once, and so is one of a dead
//	             process by who has its [LeasesConfig] Place now.
//
// H1 holds because T' > T - M and every write is a compare-and-set on the key's
// last sequence, which the stream's leader alone decides. A write whose answer
// was lost is found again, by its message id or by reading the key; but when it
// was stored is not known, so it never counts as a renewal: the lease is written
// once more, and T counts from before the call that did. H2 holds beyond the
// stream because its first sequence is the milliseconds of the clock when it was
// made. Use the epoch with [Ledger.Claim] before acting: H1 is about clocks, F1 is
// not.
//
// Not promised:
//   - H1 when the clocks of holder and server drift apart by more than T' - (T - M)
//     in T - M (by default 2 s in 12 s): the server's may jump, a suspended machine's stands still. F1 is what
//     holds then.
//   - H1 when two live processes are given the same Place.
//   - H1 while an operator shortens the bucket's TTL or purges it under a holder.
//     OpenLeases shortens it only while nobody holds a lease.
//   - H2 across a loss of the bucket with a clock that was set back: then the
//     ledger refuses the claim. Delete the bucket when the clock is right.
//   - that a cluster goes on while it elects a leader: renewals fail for some
//     seconds, and with a short TTL the lease is lost.
//   - H1 across a power cut, when the server does not sync always.
//
// # The control service
//
// [Bus.Serve] answers requests on ebb.control.v1.<autoscaler>.<verb> as a NATS micro
// service, [Bus.Ask] sends one. A request is answered once, by a process that served
// when it came; a failure is a [messages.Failure]. What the server itself publishes on
// such a subject, because somebody named it for a reply, is no request.
//
// Not promised:
//   - that an order without an answer was not carried out. Ask for the status.
//   - order between requests: several are worked on at once.
//   - who asks: whoever may publish there. Accounts of the server decide that.
//
// # The disk of an embedded server
//
// [Server.Store] says how it is; a process with an embedded server tells it to whoever
// asks on ebb.server.v1.store, see [Bus.AskStore]. A server that could not write, because
// its disk was full or failed, is taken out of use at once, and another one is started
// over the same directory and on the same port when the disk can be written again. The
// laws above hold through it: to a client it is a server that was restarted.
//
// # State
//
// The bucket ebb_state keeps the last value of each key, up to 512 KiB, for ever.
// Load answers what the last Save that returned has written, or one that was
// under way since. There is no compare-and-set: who loses it, or an old copy of it,
// acts safely without.
package bus
