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
	read  uint64
	lanes map[string]*lane
	// byRequest and bySequence find an entry of any lane.
	byRequest  map[messages.RequestID]*entry
	bySequence map[uint64]*entry
}

// lane is one subject: one resource type.
type lane struct {
	// last is the sequence of the subject's last record: what the next append
	// expects.
	last    uint64
	entries []*entry // by sequence
}

// entry is one intent and what became of it.
type entry struct {
	sequence uint64
	subject  string
	record   messages.LaunchRecord
}

// newFold is the fold of an empty ledger.
func newFold(nonce string) *fold {
	return &fold{
		nonce:      nonce,
		lanes:      map[string]*lane{},
		byRequest:  map[messages.RequestID]*entry{},
		bySequence: map[uint64]*entry{},
	}
}

// lane is the lane of a subject, made when it is new.
func (f *fold) lane(subject string) *lane {
	found, ok := f.lanes[subject]
	if !ok {
		found = &lane{}
		f.lanes[subject] = found
	}
	return found
}

// apply takes one record in. A record that is in already changes nothing. It
// says whether the record was new.
func (f *fold) apply(subject string, sequence uint64, data []byte) (bool, error) {
	lane := f.lane(subject)
	if sequence <= lane.last {
		return false, nil
	}
	record, err := decodeRecord(data)
	if err != nil {
		return false, fmt.Errorf("read record %d on %s: %w", sequence, subject, err)
	}
	lane.last = sequence
	switch record.Kind {
	case recordIntent:
		f.applyIntent(lane, subject, sequence, *record.Intent)
	case recordDone:
		f.applyDone(record)
	}
	return true, nil
}

// applyIntent adds an entry. A second intent with the same request cannot be
// appended; should one be there, the first one counts for the request.
func (f *fold) applyIntent(lane *lane, subject string, sequence uint64, intent messages.LaunchIntent) {
	launch := launchID(f.nonce, sequence)
	added := &entry{sequence: sequence, subject: subject, record: messages.LaunchRecord{
		Launch: launch, Token: clientToken(launch), Intent: intent,
	}}
	lane.entries = append(lane.entries, added)
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
	if !have.Settled {
		return cloneOutcome(outcome), true
	}
	merged = cloneOutcome(have.Outcome)
	for _, id := range outcome.Instances {
		if !slices.Contains(merged.Instances, id) {
			merged.Instances = append(merged.Instances, id)
			merged.Failure, merged.At, changed = nil, outcome.At, true
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
	var picked []*entry
	for _, entry := range f.bySequence {
		if !entry.record.Settled || !entry.record.Outcome.At.Before(since) {
			picked = append(picked, entry)
		}
	}
	slices.SortFunc(picked, func(a, b *entry) int { return cmp.Compare(a.sequence, b.sequence) })
	records := make([]messages.LaunchRecord, 0, len(picked))
	for _, entry := range picked {
		records = append(records, cloneRecord(entry.record))
	}
	return records
}

// trimmable is how many entries at the head of a lane are settled before the
// horizon. An open intent keeps everything behind it.
func (l *lane) trimmable(horizon time.Time) int {
	for i, entry := range l.entries {
		if !entry.record.Settled || !entry.record.Outcome.At.Before(horizon) {
			return i
		}
	}
	return len(l.entries)
}

// trim forgets the first count entries of a lane and answers the sequence from
// which its records must be kept. The last record of a subject always stays:
// its sequence is what the next append expects.
func (f *fold) trim(lane *lane, count int) (keepFrom uint64) {
	for _, gone := range lane.entries[:count] {
		delete(f.bySequence, gone.sequence)
		if f.byRequest[gone.record.Intent.Request] == gone {
			delete(f.byRequest, gone.record.Intent.Request)
		}
	}
	lane.entries = slices.Delete(lane.entries, 0, count)
	if len(lane.entries) > 0 {
		return lane.entries[0].sequence
	}
	return lane.last
}
