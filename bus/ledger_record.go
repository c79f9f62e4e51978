package bus

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/ebbscale/ebb/messages"
)

// recordKind says what a record of the ledger is. A kind that is not known here
// was written by a newer version, and nothing may be decided without it: it is
// an error, never skipped.
type recordKind string

const (
	recordIntent recordKind = "intent"
	recordDone   recordKind = "done"
	recordClaim  recordKind = "claim"
)

// ledgerRecord is one message of the ledger stream.
type ledgerRecord struct {
	Kind recordKind `json:"kind"`
	// Epoch is the highest that was claimed, up to and with this record. Since
	// each record repeats it, none of the earlier ones is needed to know it.
	Epoch messages.Epoch `json:"epoch,omitempty"`
	// Intent is set in an intent.
	Intent *messages.LaunchIntent `json:"intent,omitempty"`
	// Launch and Outcome are set in a done.
	Launch  messages.LaunchID       `json:"launch,omitempty"`
	Outcome *messages.LaunchOutcome `json:"outcome,omitempty"`
}

// decodeRecord reads a record strictly: what it does not understand could be
// what forbids a launch.
func decodeRecord(data []byte) (ledgerRecord, error) {
	var record ledgerRecord
	if err := json.Unmarshal(data, &record); err != nil {
		return ledgerRecord{}, err
	}
	switch record.Kind {
	case recordIntent:
		if record.Intent == nil || record.Intent.Request == "" {
			return ledgerRecord{}, fmt.Errorf("an intent without a request")
		}
	case recordDone:
		if record.Launch == "" || record.Outcome == nil {
			return ledgerRecord{}, fmt.Errorf("a done without its launch or outcome")
		}
	case recordClaim:
		if record.Epoch == 0 {
			return ledgerRecord{}, fmt.Errorf("a claim without an epoch")
		}
	default:
		return ledgerRecord{}, fmt.Errorf("kind %q is not known to this version; use the version of ebb that wrote it, or a newer one", record.Kind)
	}
	return record, nil
}

// launchID names the intent at a sequence of one incarnation of the stream.
func launchID(nonce string, sequence uint64) messages.LaunchID {
	return messages.LaunchID(nonce + "-" + strconv.FormatUint(sequence, 10))
}

// launchSequence is the inverse of [launchID]. ok is false when the id was not
// given out by this incarnation of the stream.
func launchSequence(nonce string, launch messages.LaunchID) (sequence uint64, ok bool) {
	text, ok := strings.CutPrefix(string(launch), nonce+"-")
	if !ok {
		return 0, false
	}
	sequence, err := strconv.ParseUint(text, 10, 64)
	return sequence, err == nil && launchID(nonce, sequence) == launch
}

// clientToken is what EC2 is given with a launch: at most 4+32+1+20 = 57 ASCII
// characters.
func clientToken(launch messages.LaunchID) string { return "ebb-" + string(launch) }
