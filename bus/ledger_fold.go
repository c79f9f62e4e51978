package bus

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// fold is what the ledger's records say, kept up to date record by record.
type fold struct {
	// nonce names the incarnation of the stream that was read.
	nonce string
	// read is the sequence up to which every record of this autoscaler is in
	// the fold.
	read uint64
	// last is the sequence of each subject's last record that is in.
	last map[string]uint64
	// fence is the highest epoch that was claimed.
	fence   messages.Epoch
	entries []*entry // by sequence
	// byRequest and bySequence find an entry.
	byRequest  map[messages.RequestID]*entry
	bySequence map[uint64]*entry
}

// entry is one intent and what became of it.
type entry struct {
	sequence uint64
	record   messages.LaunchRecord
}

// newFold is the fold of an empty ledger.
func newFold(nonce string) *fold {
	return &fold{
		nonce:      nonce,
		last:       map[string]uint64{},
		byRequest:  map[messages.RequestID]*entry{},
		bySequence: map[uint64]*entry{},
	}
}

// restart forgets everything but the fence: an owner that was shut out stays
// out, also when the stream is replaced by a new one.
func (f *fold) restart(nonce string) {
	fence := f.fence
	*f = *newFold(nonce)
	f.fence = fence
}

// apply takes one record in. A record that is in already changes nothing. It
// says whether the record was new.
func (f *fold) apply(subject string, sequence uint64, data []byte) (bool, error) {
	if sequence <= f.last[subject] {
		return false, nil
	}
	record, err := decodeRecord(data)
	if err != nil {
		return false, fmt.Errorf("read record %d on %s: %w", sequence, subject, err)
	}
	f.last[subject] = sequence
	f.fence = max(f.fence, record.Epoch)
	switch record.Kind {
	case recordIntent:
		f.applyIntent(sequence, *record.Intent)
	case recordDone:
		f.applyDone(record)
	case recordClaim: // the epoch is all
	}
	return true, nil
}

// applyIntent adds an entry. A second intent with the same request cannot be
// appended; should one be there, the first one counts for the request.
func (f *fold) applyIntent(sequence uint64, intent messages.LaunchIntent) {
	launch := launchID(f.nonce, sequence)
	added := &entry{sequence: sequence, record: messages.LaunchRecord{
		Launch: launch, Token: clientToken(launch), Intent: intent,
	}}
	at, _ := slices.BinarySearchFunc(f.entries, sequence, func(e *entry, s uint64) int { return cmp.Compare(e.sequence, s) })
	f.entries = slices.Insert(f.entries, at, added)
	f.bySequence[sequence] = added
	if _, ok := f.byRequest[intent.Request]; !ok {
		f.byRequest[intent.Request] = added
	}
}

// applyDone settles an entry. A done whose intent was trimmed away says nothing
// any more.
func (f *fold) applyDone(record ledgerRecord) {
	sequence, ok := launchSequence(f.nonce, record.Launch)
	if !ok {
		return
	}
	if settled, ok := f.bySequence[sequence]; ok {
		settled.record.Outcome, _ = mergeOutcome(settled.record, *record.Outcome)
		settled.record.Settled = true
	}
}

// mergeOutcome adds an outcome to what is known of a launch, and says whether
// that changes anything. Instances are never forgotten: two outcomes give the
// instances of both, and a failure counts only while there are none.
func mergeOutcome(have messages.LaunchRecord, outcome messages.LaunchOutcome) (merged messages.LaunchOutcome, changed bool) {
	if len(outcome.Instances) > 0 {
		outcome.Failure = nil
	}
	if !have.Settled {
		return cloneOutcome(outcome), true
	}
	merged = cloneOutcome(have.Outcome)
	for _, id := range outcome.Instances {
		if !slices.Contains(merged.Instances, id) {
			merged.Instances = append(merged.Instances, id)
			merged.Failure, merged.At, merged.Epoch, changed = nil, outcome.At, outcome.Epoch, true
		}
	}
	return merged, changed
}

// cloneOutcome shares nothing with its argument.
func cloneOutcome(outcome messages.LaunchOutcome) messages.LaunchOutcome {
	outcome.Instances = slices.Clone(outcome.Instances)
	if outcome.Failure != nil {
		failure := *outcome.Failure
		outcome.Failure = &failure
	}
	return outcome
}

// cloneRecord shares nothing with its argument.
func cloneRecord(record messages.LaunchRecord) messages.LaunchRecord {
	record.Outcome = cloneOutcome(record.Outcome)
	return record
}

// launches are the records that are open, and those settled at or after since,
// by sequence.
func (f *fold) launches(since time.Time) []messages.LaunchRecord {
	records := []messages.LaunchRecord{}
	for _, entry := range f.entries {
		if !entry.record.Settled || !entry.record.Outcome.At.Before(since) {
			records = append(records, cloneRecord(entry.record))
		}
	}
	return records
}

// trimmable is how many entries at the head are settled before the horizon. An
// open intent keeps everything behind it.
func (f *fold) trimmable(horizon time.Time) int {
	for i, entry := range f.entries {
		if !entry.record.Settled || !entry.record.Outcome.At.Before(horizon) {
			return i
		}
	}
	return len(f.entries)
}

// trim forgets the first count entries and answers the sequence from which the
// records of the autoscaler must be kept: all that follow an intent that stays,
// for its done may be on another subject than itself, and the last record of
// the subject that the next append goes to, for it names that one.
func (f *fold) trim(subject string, count int) (keepFrom uint64) {
	for _, gone := range f.entries[:count] {
		delete(f.bySequence, gone.sequence)
		if f.byRequest[gone.record.Intent.Request] == gone {
			delete(f.byRequest, gone.record.Intent.Request)
		}
	}
	f.entries = slices.Delete(f.entries, 0, count)
	keepFrom = f.last[subject]
	if len(f.entries) > 0 {
		keepFrom = min(keepFrom, f.entries[0].sequence)
	}
	return keepFrom
}
