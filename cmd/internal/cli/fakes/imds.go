package fakes

import (
	"context"
	"strings"
	"time"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/fake/fakeimds"
)

// noticeTime is how long before the end EC2 announces it.
const noticeTime = 2 * time.Minute

// IMDS is the metadata service of one instance.
type IMDS struct {
	Server

	InstanceID, InstanceType, Zone string
	// SpotNotice announces an end after SpotNoticeAfter.
	SpotNotice      bool
	SpotNoticeAfter time.Duration
}

// Run serves until ctx ends.
func (m IMDS) Run(ctx context.Context) error {
	now := clock.System().Now
	notice := now().Add(m.SpotNoticeAfter)
	handler := fakeimds.New(fakeimds.Config{Now: now, Lookup: func() (fakeimds.Metadata, bool) {
		data := fakeimds.Metadata{
			InstanceID: m.InstanceID, InstanceType: m.InstanceType, ImageID: "ami-0e3a1b2c3d4e5f601", Zone: m.Zone,
			Region: strings.TrimRight(m.Zone, "abcdefghijklmnopqrstuvwxyz"), AccountID: "123456789012", Architecture: "x86_64",
			LocalIPv4: "172.31.0.10", LifeCycle: "on-demand", TokenNeeded: true,
		}
		if m.SpotNotice {
			data.LifeCycle = "spot"
			if !now().Before(notice) {
				data.Action, data.ActionAt = "terminate", notice.Add(noticeTime)
			}
		}
		return data, true
	}})
	return m.serve(ctx, "fake IMDSv2 of "+m.InstanceID, handler, func(url string) []string {
		return []string{
			"token:     TOKEN=$(curl -sX PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 21600' " + url + "/latest/api/token)",
			"read:      curl -sH \"X-aws-ec2-metadata-token: $TOKEN\" " + url + "/latest/meta-data/instance-id",
			"AWS SDKs:  export AWS_EC2_METADATA_SERVICE_ENDPOINT=" + url,
		}
	})
}
