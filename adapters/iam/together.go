package iam

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
)

// Together is one policy that grants what several grant, and no more, for a
// process that runs several autoscalers with one role. What two of them grant on
// the same resources under the same condition becomes one statement; the names of
// the statements of the second policy that are taken end in 2, and so on. The
// error says when IAM would find it too long.
func Together(policies ...Policy) (Policy, error) {
	var all []Statement
	taken := map[string]bool{}
	for i, policy := range policies {
		for _, statement := range policy.Statement {
			if joined(all, statement) {
				continue
			}
			if taken[statement.ID] {
				statement.ID += strconv.Itoa(i + 1)
			}
			taken[statement.ID] = true
			all = append(all, statement)
		}
	}
	policy, err := sized(all)
	if err != nil {
		return Policy{}, fmt.Errorf("put IAM policies together: %w", err)
	}
	return policy, nil
}

// joined adds the actions of another statement to the one that is about the same,
// if there is one.
func joined(statements []Statement, another Statement) bool {
	for i, s := range statements {
		if s.Effect == another.Effect && slices.Equal(s.Resource, another.Resource) && reflect.DeepEqual(s.Condition, another.Condition) {
			statements[i].Action = distinct(slices.Concat(s.Action, another.Action))
			return true
		}
	}
	return false
}
