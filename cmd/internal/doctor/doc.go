// Package doctor asks everything around an autoscaler whether it would work:
// the configuration, the event server, ClearML and AWS. It changes nothing
// anywhere; what would change something is sent to EC2 as a dry run.
//
// The questions are asked by the adapters and the bus. Here the answers become
// a [Report]: a list of checks, each with what is wrong and what to do. A check
// whose precondition failed is [NotChecked], with the reason, and never ok.
// docs/doctor.md lists the checks; a test holds it against [Checks].
package doctor
