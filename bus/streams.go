package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// dedupeWindow is how long the streams remember message ids.
	dedupeWindow = 10 * time.Minute
	// defaultMaxAge and defaultMaxBytes bound the event stream when it is made.
	defaultMaxAge   = 30 * 24 * time.Hour
	defaultMaxBytes = 1 << 30

	// nonceKey is where the ledger stream's metadata keep its nonce.
	nonceKey = "ebb_nonce"
	// nonceLength keeps 60 bits of chance: 12 of 32 letters.
	nonceLength = 12

	// storageFull is the server's code for a limit it cannot promise to keep;
	// replicasUnclustered and replicasUnplaced are those for more copies than
	// there are servers, alone or in a cluster.
	storageFull         jetstream.ErrorCode = 10047
	replicasUnclustered jetstream.ErrorCode = 10074
	replicasUnplaced    jetstream.ErrorCode = 10005
	// clusterReplicas is how many servers of a cluster keep a stream when the
	// configuration does not say.
	clusterReplicas = 3
)

// ensureStreams makes the streams that are missing and brings the limits of
// the event stream in line with the configuration.
func (b *Bus) ensureStreams(ctx context.Context) error {
	if err := b.ensureEvents(ctx); err != nil {
		return err
	}
	_, _, err := b.ensureLedger(ctx)
	return err
}

// ensureEvents makes the event stream, or changes what the configuration names
// and the stream has differently. Replicas, placement and whatever else an
// operator chose stay as they are.
func (b *Bus) ensureEvents(ctx context.Context) error {
	found, err := b.stream.Stream(ctx, EventStream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		found, err = b.makeStream(ctx, b.eventConfig())
		if err != nil {
			return streamError("make", EventStream, err)
		}
	case err != nil:
		return streamError("read", EventStream, err)
	}
	have := found.CachedInfo().Config
	want := b.adjusted(have)
	if sameLimits(have, want) {
		b.atomicBatch.Store(have.AllowAtomicPublish)
		return nil
	}
	found, err = b.stream.UpdateStream(ctx, want)
	if err != nil {
		if !slices.Contains(have.Subjects, EventSubjects) {
			return streamError("change", EventStream, err)
		}
		b.log.Warn().Err(err).Str("stream", EventStream).
			Msg("stream keeps its limits: they differ from the configuration and cannot be changed")
		b.atomicBatch.Store(have.AllowAtomicPublish)
		return nil
	}
	b.atomicBatch.Store(found.CachedInfo().Config.AllowAtomicPublish)
	return nil
}

// makeStream makes a stream, or answers the one of this name that somebody else
// was quicker to make. Unless the configuration says how many servers keep it,
// three do in a cluster that has three, and else one.
func (b *Bus) makeStream(ctx context.Context, config jetstream.StreamConfig) (jetstream.Stream, error) {
	config.Replicas = b.config.Replicas
	open := config.Replicas == 0
	if open && b.config.Server == nil {
		config.Replicas = clusterReplicas
	}
	found, err := b.stream.CreateStream(ctx, config)
	if open && isTooFewServers(err) {
		config.Replicas = 1
		found, err = b.stream.CreateStream(ctx, config)
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return b.stream.Stream(ctx, config.Name)
	}
	return found, err
}

// isTooFewServers says whether the server has not enough others for the copies.
func isTooFewServers(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == replicasUnclustered || api.ErrorCode == replicasUnplaced)
}

// eventConfig is the event stream as it is made.
func (b *Bus) eventConfig() jetstream.StreamConfig {
	config := jetstream.StreamConfig{
		Name:               EventStream,
		Description:        "events of ebb autoscalers, CloudEvents 1.0 JSON",
		Subjects:           []string{EventSubjects},
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardOld,
		Storage:            jetstream.FileStorage,
		Compression:        jetstream.S2Compression,
		MaxAge:             defaultMaxAge,
		MaxBytes:           defaultMaxBytes,
		Duplicates:         dedupeWindow,
		AllowDirect:        true,
		AllowAtomicPublish: true,
	}
	if b.config.EventsMaxAge > 0 {
		config.MaxAge = b.config.EventsMaxAge
	}
	if b.config.EventsMaxBytes > 0 {
		config.MaxBytes = b.config.EventsMaxBytes
	}
	config.Duplicates = min(config.Duplicates, config.MaxAge) // the server insists
	return config
}

// adjusted is the stream as it is, with what the configuration names.
func (b *Bus) adjusted(have jetstream.StreamConfig) jetstream.StreamConfig {
	want := have
	want.Subjects = slices.Clone(have.Subjects)
	if !slices.Contains(want.Subjects, EventSubjects) {
		want.Subjects = append(want.Subjects, EventSubjects)
	}
	if b.config.EventsMaxAge > 0 {
		want.MaxAge = b.config.EventsMaxAge
	}
	if b.config.EventsMaxBytes > 0 {
		want.MaxBytes = b.config.EventsMaxBytes
	}
	want.Duplicates = dedupeWindow
	if want.MaxAge > 0 {
		want.Duplicates = min(want.Duplicates, want.MaxAge)
	}
	return want
}

// sameLimits compares what [Bus.adjusted] may change.
func sameLimits(a, b jetstream.StreamConfig) bool {
	return slices.Equal(a.Subjects, b.Subjects) && a.MaxAge == b.MaxAge &&
		a.MaxBytes == b.MaxBytes && a.Duplicates == b.Duplicates
}

// ensureLedger makes the ledger stream, or checks that the one there keeps what
// the law of the ledger needs, and answers its nonce. It never changes a
// ledger stream: a new nonce would be new ClientTokens for old intents.
func (b *Bus) ensureLedger(ctx context.Context) (found jetstream.Stream, nonce string, err error) {
	found, err = b.stream.Stream(ctx, LedgerStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) && !b.config.ReadOnly {
		found, err = b.makeStream(ctx, jetstream.StreamConfig{
			Name:        LedgerStream,
			Description: "launch ledger of ebb autoscalers; do not edit, purge or restore from a backup",
			Subjects:    []string{LedgerSubjects},
			Retention:   jetstream.LimitsPolicy,
			Discard:     jetstream.DiscardNew,
			Storage:     jetstream.FileStorage,
			Duplicates:  dedupeWindow,
			DenyDelete:  true,
			Metadata:    map[string]string{nonceKey: newNonce()},
		})
	}
	if err != nil {
		return nil, "", streamError("make or read", LedgerStream, err)
	}
	nonce, err = checkLedger(found.CachedInfo().Config)
	return found, nonce, err
}

// checkLedger refuses a ledger stream that could lose or misname an intent.
func checkLedger(config jetstream.StreamConfig) (nonce string, err error) {
	faults := map[string]bool{
		"max_age must be 0":               config.MaxAge > 0,
		"max_msgs must be unlimited":      config.MaxMsgs > 0,
		"max_msgs_per_subject must be -1": config.MaxMsgsPerSubject > 0,
		"discard must be new":             config.Discard != jetstream.DiscardNew,
		"retention must be limits":        config.Retention != jetstream.LimitsPolicy,
		"storage must be file":            config.Storage != jetstream.FileStorage,
		"subjects must be " + LedgerSubjects: len(config.Subjects) != 1 ||
			config.Subjects[0] != LedgerSubjects,
		"allow_direct must be off": config.AllowDirect,
	}
	for _, fault := range slices.Sorted(maps.Keys(faults)) {
		if faults[fault] {
			return "", fmt.Errorf("stream %s cannot be a launch ledger: %s (change it, or delete the stream while no ebb runs; it is made anew)",
				LedgerStream, fault)
		}
	}
	nonce = config.Metadata[nonceKey]
	if !validNonce(nonce) {
		return "", fmt.Errorf("stream %s cannot be a launch ledger: its metadata lack %s (put back the one it had; "+
			"if it never had one, delete the stream while no ebb runs; it is made anew)", LedgerStream, nonceKey)
	}
	return nonce, nil
}

// newNonce draws the name of one incarnation of the ledger stream.
func newNonce() string { return strings.ToLower(rand.Text()[:nonceLength]) }

// validNonce says whether text can be part of a ClientToken and of an EC2 tag.
func validNonce(text string) bool {
	for _, char := range []byte(text) {
		if (char < 'a' || char > 'z') && (char < '0' || char > '9') {
			return false
		}
	}
	return len(text) >= 8 && len(text) <= 32
}

// streamError says which stream, and the cure where there is a known one.
func streamError(verb, stream string, err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("%s stream %s: JetStream is off for this account; turn it on: %w", verb, stream, err)
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return fmt.Errorf("%s stream %s: no JetStream answers; turn it on at this server, or wait until its cluster has a leader: %w", verb, stream, err)
	case errors.As(err, &api) && api.ErrorCode == storageFull:
		return fmt.Errorf("%s stream %s: the disk or account is too small for its size limit; make room or lower the limit: %w", verb, stream, err)
	}
	return fmt.Errorf("%s stream %s: %w", verb, stream, err)
}
