package dashboard_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ebbscale/ebb/adapters/dashboard"
)

// TestTroubles holds that what is wrong is on the page of whom it is about, and goes.
func TestTroubles(t *testing.T) {
	t.Parallel()

	var now atomic.Pointer[[]dashboard.Trouble]
	now.Store(&[]dashboard.Trouble{
		{About: "disk", Wrong: true, Found: "the disk is full", Cure: "make room"},
		{About: "parts", Autoscaler: "research", Wrong: true, Found: "no answer from queue a", Cure: "see the log"},
	})
	server, _ := begin(t, 3, func(c *dashboard.Config) {
		c.Health = func(context.Context) []dashboard.Trouble { return *now.Load() }
	})
	const disk = `{"about":"disk","wrong":true,"found":"the disk is full","cure":"make room"}`
	page := func(name string) string { return body(ask(server, "GET", "/api/v1/autoscalers/"+name, "")) }
	waitFor(t, "the troubles of both", func() bool {
		return strings.Contains(page("prod"), `"troubles":[`+disk+`]`) && strings.Contains(page("research"), `"troubles":[`+disk+`,{"about":"parts"`)
	})
	now.Store(&[]dashboard.Trouble{})
	waitFor(t, "the end of them", func() bool {
		return strings.Contains(page("prod"), `"troubles":[]`) && strings.Contains(page("research"), `"troubles":[]`)
	})
}
