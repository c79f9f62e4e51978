// Package iam writes the IAM policies under which the autoscaler runs: a basic
// one that is easy to read, and a restricted one with which it can launch only
// what is tagged as its own, only from given images into given subnets, and can
// end nothing that does not carry its tag.
//
// Both grant exactly the actions that the EC2 adapter needs; a contract test
// records what it calls and compares. The text is a function of the options:
// the same options give the same bytes.
//
// What is not granted, because it depends on the account: keys of KMS for
// volumes encrypted with a customer's key, and launch templates, placement
// groups or capacity reservations named in extra launch parameters.
package iam
