package ec2_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/ebbscale/ebb/adapters/ec2"
)

// TestCalled tells of each call by its action, with what became of it.
func TestCalled(t *testing.T) {
	t.Parallel()

	refuse := true
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if refuse {
			refuse = false
			answer(http.StatusServiceUnavailable, refusal("RequestLimitExceeded", "slow down"))(w, r)
			return
		}
		answer(http.StatusOK, `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet/></DescribeInstancesResponse>`)(w, r)
	})
	var told []string
	api, err := ec2.NewClient(t.Context(), ec2.ClientConfig{
		Region: "us-east-1", AccessKeyID: accessKey, SecretAccessKey: secretKey, EndpointURL: s.URL,
		Called: func(action string) func(string) {
			return func(result string) { told = append(told, action+" "+result) }
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	fleet := adapter(t, api, ec2.Template{AMI: "a"})
	if _, err := fleet.List(t.Context()); err == nil {
		t.Error("the first listing was not refused")
	}
	if _, err := fleet.List(t.Context()); err != nil {
		t.Error(err)
	}
	if want := []string{"DescribeInstances throttled", "DescribeInstances ok"}; !slices.Equal(told[:min(2, len(told))], want) {
		t.Errorf("told of %q, want %q first", told, want)
	}
}
