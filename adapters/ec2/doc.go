// Package ec2 launches, lists and terminates instances through the EC2 API.
//
// # What is promised
//
// Launch is one RunInstances call whose every parameter is a function of the
// request and of the configuration. The ClientToken comes with the request, so
// the same request sent again launches once. All tags go on inside that call:
// an instance that exists can be found by its owner tag, whatever happened to
// the caller in between.
//
// Terminate takes any number of ids and any mixture of them. EC2 refuses a
// whole call for one id that it does not know or may not end; such ids are
// found and set aside, and the others are terminated.
//
// List is complete or an error. An instance that it cannot make sense of is an
// error as well: a listing that quietly leaves one out would free its budget.
// What EC2 announces of spot instances comes from a second call, whose failure
// costs the announcements and not the listing.
//
// # Failures
//
// Every error carries a [messages.Failure]; errors.go has the one table from
// EC2's codes to classes. The code decides before the HTTP status does: EC2
// answers InsufficientInstanceCapacity as a 500. What is not known to have
// been refused (a time-out, a broken connection, a 5xx without a known code) is
// [messages.ClassTransient], because EC2 may have done it.
//
// Nothing here retries, waits or reads a clock; the SDK's own retries are off
// ([NewClient]). The provisioner above decides when to call again.
//
// # Tags
//
// Instances, volumes, network interfaces and spot requests get [TagAutoscaler],
// [TagResource], [TagIntent], [TagQueue] where there is a home queue, a Name and
// the user's tags. Those that begin with ebb: always win over tags from the
// configuration.
package ec2
