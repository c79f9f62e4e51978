// Package fakeec2 is an EC2 region in one process: a typed model of the parts of
// EC2 that an autoscaler can be hurt by, and an HTTP handler that speaks the EC2
// Query API over it, so that aws-sdk-go-v2, boto3 and awscli work against it.
//
// The model ([Cloud]) is usable without HTTP. It draws from one seeded
// generator, reads only the clock it is given and never depends on the order of
// a map, so the same calls at the same times give the same region.
//
// What is faithful, because callers go wrong there:
//
//   - ClientToken: the same token with the same parameters answers with the
//     first reservation, with other parameters IdempotentParameterMismatch, also
//     when the first attempt found no capacity. The scope is the zone when a
//     subnet or a zone is named, the region otherwise. Once everything it
//     launched is terminated the token answers IdempotentInstanceTerminated.
//     Lists are compared in order: send the identical request.
//   - Eventual consistency: an instance is missing from listings, and NotFound
//     by id, for a drawn time after its launch; state changes show late.
//   - Token buckets for requests and for instances, per action.
//   - Capacity per (type, zone, market), vCPU quota per (family, market), free
//     addresses per subnet, and partial success between MinCount and MaxCount.
//   - Error codes, messages and HTTP statuses, of which one surprises:
//     InsufficientInstanceCapacity is an HTTP 500, so SDKs retry it by default.
//   - Spot notices, termination reasons, guest shutdown, launch failures.
//   - Dry runs: RunInstances, TerminateInstances and GetConsoleOutput check what
//     they would check, then answer DryRunOperation; refusals name caller, action
//     and resource.
//   - Scripted faults: before and after the effect, slow, dropped, partial.
//
// What it is not: VPC networking, volumes of their own, launch templates,
// persistent spot requests, fleets and Auto Scaling groups.
package fakeec2
