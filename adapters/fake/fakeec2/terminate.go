package fakeec2

// TerminateInstances begins the end of instances. One id that is not visible
// fails the call and nothing is terminated. A protected instance fails the call
// too, and saves the others of its zone, while those of other zones go.
func (c *Cloud) TerminateInstances(ids []string, dryRun bool) ([]StateChange, error) {
	return serve(c, call{action: "TerminateInstances"}, func(Fault) ([]StateChange, error) {
		if len(ids) == 0 {
			return nil, errorf("MissingParameter", "The request must contain the parameter InstanceIds")
		}
		if len(ids) > 1000 {
			return nil, errorf("InvalidParameterValue", "At most 1000 instances can be terminated in one request, not %d.", len(ids))
		}
		for _, id := range ids {
			if err := c.mayTouch("TerminateInstances", id); err != nil {
				return nil, err
			}
		}
		if _, err := c.findShown(ids); err != nil {
			return nil, err
		}
		if dryRun {
			return nil, errDryRun()
		}
		if c.throttled("TerminateInstances", false, true, len(ids)) {
			return nil, errThrottled()
		}
		return c.endAll(unique(ids))
	})
}

// endAll shuts down instances, except in zones where one of them is protected.
func (c *Cloud) endAll(ids []string) ([]StateChange, error) {
	protected := map[string]string{} // the first protected instance of a zone
	for _, id := range ids {
		if i := c.byID[id]; i.Protected && protected[i.Zone] == "" {
			protected[i.Zone] = id
		}
	}
	var changes []StateChange
	var refused error
	for _, id := range ids {
		i := c.byID[id]
		if saved := protected[i.Zone]; saved != "" {
			refused = errorf("OperationNotPermitted", "The instance '%s' may not be terminated. "+
				"Modify its 'disableApiTermination' instance attribute and try again.", saved)
			continue
		}
		before := i.State
		c.shutDown(i, reasonUser(), c.userInitiated(), "instance-terminated-by-user")
		changes = append(changes, StateChange{InstanceID: id, Previous: before, Current: i.State})
	}
	return changes, refused
}

// SetProtection turns termination protection of an instance on or off, as
// ModifyInstanceAttribute does.
func (c *Cloud) SetProtection(id string, on, dryRun bool) error {
	_, err := serve(c, call{action: "ModifyInstanceAttribute", dryRun: dryRun}, func(Fault) (bool, error) {
		if _, err := c.findShown([]string{id}); err != nil {
			return false, err
		}
		c.byID[id].Protected = on
		return true, nil
	})
	return err
}
