package fakeec2

import (
	"fmt"
	"slices"
	"time"
)

// FaultKind is what goes wrong with a call.
type FaultKind string

// The kinds of fault. "After" kinds let the call have its effect first, which is
// what makes them dangerous.
const (
	FaultErrorBefore  FaultKind = "error_before"  // answer Code without effect
	FaultErrorAfter   FaultKind = "error_after"   // answer Code although it was done
	FaultTimeoutAfter FaultKind = "timeout_after" // done, but no answer ever comes
	FaultDropBefore   FaultKind = "drop_before"   // connection breaks, nothing done
	FaultDropAfter    FaultKind = "drop_after"    // connection breaks, but it was done
	FaultHTTP500      FaultKind = "http_500"      // a 500 whose body is not EC2's XML
	FaultSlow         FaultKind = "slow"          // HTTP only: starts DelaySeconds later
	FaultOmit         FaultKind = "omit"          // a listing leaves out Fraction of its instances
)

// Fault is one scripted failure. It strikes the calls of Action (any when
// empty), on page Page of a listing (any when 0; the first page is 1), after
// letting Skip of them through, Times times (0 is once, negative for ever).
type Fault struct {
	Action       string    `json:"action,omitempty"`
	Kind         FaultKind `json:"kind"`
	Code         string    `json:"code,omitempty"`
	Message      string    `json:"message,omitempty"`
	Status       int       `json:"status,omitempty"` // 0: the code's own
	DelaySeconds float64   `json:"delay_seconds,omitempty"`
	Fraction     float64   `json:"fraction,omitempty"` // of the instances, for omit; 0 is all
	Page         int       `json:"page,omitempty"`
	Skip         int       `json:"skip,omitempty"`
	Times        int       `json:"times,omitempty"`
}

// Validate reports what is wrong with a fault.
func (f Fault) Validate() error {
	kinds := []FaultKind{
		FaultErrorBefore, FaultErrorAfter, FaultTimeoutAfter, FaultDropBefore,
		FaultDropAfter, FaultHTTP500, FaultSlow, FaultOmit,
	}
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("read fault kind %q: use one of %v", f.Kind, kinds)
	case (f.Kind == FaultErrorBefore || f.Kind == FaultErrorAfter) && f.Code == "":
		return fmt.Errorf("read fault %s: code is missing, name an EC2 error code such as InternalError", f.Kind)
	case f.Kind == FaultSlow && f.DelaySeconds <= 0:
		return fmt.Errorf("read fault %s: delay_seconds must be positive, it is %v", f.Kind, f.DelaySeconds)
	case f.Fraction < 0 || f.Fraction > 1:
		return fmt.Errorf("read fault %s: fraction must be between 0 and 1, it is %v", f.Kind, f.Fraction)
	default:
		return nil
	}
}

// Inject adds a fault behind those that are already there. Of several that fit a
// call the oldest strikes.
func (c *Cloud) Inject(f Fault) error {
	if err := f.Validate(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	c.faults = append(c.faults, f)
	return nil
}

// ClearFaults takes away every fault.
func (c *Cloud) ClearFaults() {
	c.mu.Lock()
	defer c.unlock()
	c.faults = nil
}

// Faults lists what has not struck yet.
func (c *Cloud) Faults() []Fault {
	c.mu.Lock()
	defer c.unlock()
	return slices.Clone(c.faults)
}

// takeFault finds the fault that strikes this call and uses it up; a fault without
// a kind is none.
func (c *Cloud) takeFault(action string, page int, slow bool) Fault {
	for i := range c.faults {
		f := &c.faults[i]
		if (f.Action != "" && f.Action != action) || (f.Page != 0 && f.Page != page) || (f.Kind == FaultSlow) != slow {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		hit := *f
		if f.Times > 0 {
			f.Times--
		}
		if f.Times == 0 {
			c.faults = slices.Delete(c.faults, i, i+1)
		}
		return hit
	}
	return Fault{}
}

// takeDelay is how long a slow fault holds up this call.
func (c *Cloud) takeDelay(action string, page int) time.Duration {
	c.mu.Lock()
	defer c.unlock()
	f := c.takeFault(action, page, true)
	return time.Duration(f.DelaySeconds * float64(time.Second))
}

// before is what the caller gets instead of the call.
func (f Fault) before() error {
	switch f.Kind {
	case FaultErrorBefore:
		return f.apiError()
	case FaultDropBefore:
		return ErrDropped
	case FaultHTTP500:
		return &APIError{Code: codeNotXML, Message: "injected", Status: statusOf("InternalError")}
	default:
		return nil
	}
}

// after is what the caller gets instead of the result.
func (f Fault) after() error {
	switch f.Kind {
	case FaultErrorAfter:
		return f.apiError()
	case FaultDropAfter:
		return ErrDropped
	case FaultTimeoutAfter:
		return ErrTimeout
	default:
		return nil
	}
}

func (f Fault) apiError() error {
	message := f.Message
	if message == "" {
		message = "An injected error has occurred."
	}
	status := f.Status
	if status == 0 {
		status = statusOf(f.Code)
	}
	return &APIError{Code: f.Code, Message: message, Status: status}
}

// codeNotXML marks an error that goes out as plain text, the way a broken front
// end answers.
const codeNotXML = "InternalServerError"
