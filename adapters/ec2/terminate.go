package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ebbscale/ebb/messages"
)

const (
	// terminateBatch is how many ids go into one call. EC2 takes 1000; smaller
	// calls keep the search for a bad id short.
	terminateBatch = 500
	// searchCalls is how many calls one Terminate spends at most on finding bad
	// ids. EC2 has 100 tokens for TerminateInstances and adds 5 a second.
	searchCalls = 64
)

// Terminate ends the instances. EC2 refuses a call for one id that it does not
// know, and all of a zone for one that is protected; such ids are found by name
// in the refusal, or by halving, and the others are terminated. Ids that EC2
// does not know are Gone. It returns an error, and an empty outcome, when
// nothing is known of any id; otherwise each id is in exactly one list.
func (a *Adapter) Terminate(ctx context.Context, ids []messages.InstanceID) (messages.TerminateOutcome, error) {
	work := &termination{adapter: a}
	for batch := range slices.Chunk(distinct(ids), terminateBatch) {
		work.queue = append(work.queue, batch)
	}
	work.budget = len(work.queue) + searchCalls
	for len(work.queue) > 0 {
		batch := work.next()
		if err := work.try(ctx, batch); err != nil {
			if !work.decided {
				return messages.TerminateOutcome{}, failing("terminate instances", messages.FailureOf(err), err)
			}
			failure := *messages.FailureOf(err)
			work.fail(batch, failure)
			for _, rest := range work.queue {
				work.fail(rest, failure)
			}
			break
		}
	}
	return work.outcome, nil
}

// termination is one Terminate at work.
type termination struct {
	adapter *Adapter
	queue   [][]messages.InstanceID
	budget  int // calls left
	outcome messages.TerminateOutcome
	// decided is set once something is known of at least one id.
	decided bool
}

// next takes a batch from the queue: at first the oldest, so that large good
// parts end before small bad ones are searched; with half of the calls spent
// the newest, which leads to single ids, so that every Terminate gets further
// than the one before, however many ids are bad.
func (w *termination) next() []messages.InstanceID {
	at := 0
	if w.budget <= searchCalls/2 {
		at = len(w.queue) - 1
	}
	batch := w.queue[at]
	w.queue = slices.Delete(w.queue, at, at+1)
	return batch
}

// try sends one call for the batch. What it cannot decide it queues; an error
// means that more calls make no sense.
func (w *termination) try(ctx context.Context, batch []messages.InstanceID) error {
	if w.budget == 0 {
		return &messages.Failure{Class: messages.ClassThrottled, Message: "too many bad ids to find at once: ask again for the rest"}
	}
	w.budget--
	input := &awsec2.TerminateInstancesInput{InstanceIds: make([]string, len(batch))}
	for i, id := range batch {
		input.InstanceIds[i] = string(id)
	}
	if err := messages.Permitted(ctx); err != nil {
		return err
	}
	output, err := w.adapter.client.TerminateInstances(ctx, input)
	if err == nil {
		w.accept(batch, output)
		return nil
	}
	failure := failureOf(err)
	if !isAboutOne(failure.Class) {
		return failing("call TerminateInstances", failure, err)
	}
	bad := named(err.Error(), batch) // the failure's message may be cut short
	w.adapter.log.Debug().Int("batch", len(batch)).Strs("named", texts(bad)).Str("code", failure.Code).
		Msg("TerminateInstances refused a batch")
	switch {
	case len(batch) == 1:
		w.drop(batch, *failure)
	case len(bad) > 0:
		w.drop(bad, *failure)
		rest := slices.DeleteFunc(slices.Clone(batch), func(id messages.InstanceID) bool { return slices.Contains(bad, id) })
		if len(rest) > 0 {
			w.queue = append(w.queue, rest)
		}
	default:
		w.queue = append(w.queue, batch[:len(batch)/2], batch[len(batch)/2:])
	}
	return nil
}

// isAboutOne tells whether a refusal may be due to one id of many. A policy that
// only lets us end our own instances refuses the whole call for a foreign one.
func isAboutOne(class messages.FailureClass) bool {
	switch class {
	case messages.ClassNotFound, messages.ClassInvalid, messages.ClassProtected, messages.ClassUnauthorized,
		messages.ClassUnsupported, messages.ClassUnknown:
		return true
	default:
		return false
	}
}

// accept notes what a successful answer says; ids that it leaves out are asked
// for one by one.
func (w *termination) accept(batch []messages.InstanceID, output *awsec2.TerminateInstancesOutput) {
	answered := make(map[messages.InstanceID]bool, len(output.TerminatingInstances))
	for _, change := range output.TerminatingInstances {
		answered[messages.InstanceID(aws.ToString(change.InstanceId))] = true
	}
	for _, id := range batch {
		switch {
		case answered[id]:
			w.decided = true
			w.outcome.Terminating = append(w.outcome.Terminating, id)
		case len(batch) == 1:
			w.fail(batch, messages.Failure{Class: messages.ClassUnknown, Message: "EC2 accepted the call and did not answer for this instance"})
		default:
			w.queue = append(w.queue, []messages.InstanceID{id})
		}
	}
}

// drop settles ids that EC2 refused.
func (w *termination) drop(ids []messages.InstanceID, failure messages.Failure) {
	w.decided = true
	if failure.Class == messages.ClassNotFound {
		w.outcome.Gone = append(w.outcome.Gone, ids...)
		return
	}
	w.fail(ids, failure)
}

func (w *termination) fail(ids []messages.InstanceID, failure messages.Failure) {
	w.decided = true
	for _, id := range ids {
		w.outcome.Failed = append(w.outcome.Failed, id)
		w.outcome.Failures = append(w.outcome.Failures, failure)
	}
}

// named finds which of the ids a message names, as whole words: i-12 is not in
// i-123.
func named(message string, ids []messages.InstanceID) []messages.InstanceID {
	words := make(map[string]bool)
	for _, word := range strings.FieldsFunc(message, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		words[word] = true
	}
	var found []messages.InstanceID
	for _, id := range ids {
		if words[string(id)] {
			found = append(found, id)
		}
	}
	return found
}

// distinct leaves out what was there before; the order stays.
func distinct(ids []messages.InstanceID) []messages.InstanceID {
	seen := make(map[messages.InstanceID]bool, len(ids))
	kept := make([]messages.InstanceID, 0, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			kept = append(kept, id)
		}
	}
	return kept
}

func texts(ids []messages.InstanceID) []string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = string(id)
	}
	return list
}
